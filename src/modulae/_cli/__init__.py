"""What the command line consists of."""
