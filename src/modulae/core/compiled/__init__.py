"""Loops that numba compiles: numbers side by side in registers, and what is done where it can't compile."""
