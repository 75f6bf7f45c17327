"""CVXPY as a backend: the way to every solver that CVXPY knows."""
