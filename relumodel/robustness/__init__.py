"""Worst cases of a trained network, certified from above or exact."""
