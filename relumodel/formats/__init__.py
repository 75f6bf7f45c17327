"""Programs as files of other solvers (CBF, MPS) with the JSON file that leads back, and their solutions read."""
