"""An explanation beside its controls."""
