"""Permutations, donors, matched sets: what a difference would be if there were none."""
