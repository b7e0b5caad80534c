"""Scores of gene sets in every cell."""
