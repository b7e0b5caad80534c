"""Whether a unit is on in a cell."""
