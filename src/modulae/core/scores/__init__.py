"""Sums over gene sets, and correlations."""
