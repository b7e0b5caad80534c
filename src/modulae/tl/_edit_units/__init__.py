"""Units that are renamed, put together, taken out or kept apart by the user, with a history."""
