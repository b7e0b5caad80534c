"""Units that come back in many runs."""
