"""Cells and their counts, wherever these lie."""
