"""Several factorisations as one, on a GPU."""
