"""What modulae writes into an AnnData, and finds there again."""
