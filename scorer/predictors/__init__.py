"""What predicts: from the records of a window to what a model says of them."""
