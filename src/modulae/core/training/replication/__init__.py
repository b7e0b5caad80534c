"""Units that two halves of the cells find on their own: which, how many, and how surely they would be found again."""
