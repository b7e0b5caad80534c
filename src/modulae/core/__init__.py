"""The arithmetic: numpy, scipy and torch in, arrays out; no AnnData."""
