"""Models and trainings in files, and models from elsewhere."""
