"""What a trained model said of new cells, as tables."""
