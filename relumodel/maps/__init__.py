"""Linear maps from the variables of a program to what its functions read: forward, adjoint, sparse matrix."""
