"""Networks, their settings and losses, and where they start."""
