"""Bounds and gaps of a program, built by us from dual-feasible points."""

from .bound import DualPoint, certify, relative_gap

__all__ = ["DualPoint", "certify", "relative_gap"]
