"""A trained model on cells it has never seen."""
