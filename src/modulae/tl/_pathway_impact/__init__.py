"""Which gene sets move which units, and the tests between groups."""
