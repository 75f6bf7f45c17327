"""Conic solvers fed directly with relumodel's conic form: Clarabel, ECOS, SCS, HiGHS."""
