"""Training to the global optimum with patterns that adapt."""
