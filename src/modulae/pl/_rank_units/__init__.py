"""Units that differ between groups, as dots."""
