"""The native engine of relumodel: backend "admm"."""
