"""Training: what it reads, how it goes."""
