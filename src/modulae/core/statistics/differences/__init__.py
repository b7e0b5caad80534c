"""Units of groups of cells held against each other, within categories, over cells or over donors."""
