"""Gene sets, the forms they come in, and names of genes matched with each other."""
