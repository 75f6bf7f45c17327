"""Training to the global optimum with patterns that adapt: descend, polish, price, grow; robust, three layers, problems."""
