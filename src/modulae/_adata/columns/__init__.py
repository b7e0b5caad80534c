"""Columns of obs and var: labels, groups, batches, masks, numbers."""
