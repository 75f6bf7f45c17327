"""Training on data beyond memory: programs whose maps are passes over batches, stochastic steps, measurement and bounds by streaming."""
