"""Steps with PyTorch, on any device."""
