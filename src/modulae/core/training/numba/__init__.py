"""Steps in compiled loops, on a CPU."""
