"""What has nothing to do with cells: docstrings, progress, files, processes side by side."""
