"""The parts-based autoencoder's steps in compiled loops, on a CPU."""
