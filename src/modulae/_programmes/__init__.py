"""Tables of programmes, genes × programmes: read, written, and matched with each other."""
