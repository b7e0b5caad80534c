"""Pictures of programmes beside those of other models and catalogues."""
