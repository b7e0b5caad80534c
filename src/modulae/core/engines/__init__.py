"""What moves the weights: compiled loops on a CPU, torch anywhere."""
