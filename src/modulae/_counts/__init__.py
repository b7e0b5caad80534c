"""Counts wherever they lie: in memory, in a file, in dask's hands; looked through once, read in blocks."""
