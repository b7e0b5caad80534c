"""Which units differ between groups of cells, in which category, and in how many donors."""
