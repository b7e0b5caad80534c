"""One row per unit."""
