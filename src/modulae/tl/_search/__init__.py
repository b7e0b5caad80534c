"""A search over settings and seeds."""
