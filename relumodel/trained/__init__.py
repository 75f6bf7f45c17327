"""Trained networks: evaluation, pruning, several outputs, files, and conversion from and to torch and ONNX."""
