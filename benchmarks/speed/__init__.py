"""Time and memory, as ratios in one interleaved run."""
