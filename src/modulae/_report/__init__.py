"""The page that explains every unit: what goes on it, the template, and the scripts that answer a click."""
