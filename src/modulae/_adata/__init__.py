"""The only way into an AnnData and out of it."""
