"""Methods of others, in an environment of their own."""
