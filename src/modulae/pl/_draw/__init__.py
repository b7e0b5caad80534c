"""What pictures are made of: grids, heat maps, points, colours, labels, style."""
