"""Units: what they are called, and their genes."""
