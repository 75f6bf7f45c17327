"""The cells of the hyperplane arrangement of the samples: which patterns exist, one at a time or all, with witnesses inside."""
