"""Convex functions with faces (value, prox, conjugate, conic rows): losses, penalties, norms, indicators, worst cases, and how they add."""
