"""Measurements that anyone can repeat: `python -m benchmarks`; each writes a table to docs/benchmarks/."""
