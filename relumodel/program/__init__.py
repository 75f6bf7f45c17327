"""The bare program, minimise sum_j f_j(K_j x): terms, variables, guarantee, and the processes that hold its rows."""
