"""The first-order engine of relumodel on torch tensors: backend "torch"."""
