"""Cells × genes as a sum of parts: non-negative matrix factorisation, made to be repeated many times."""
