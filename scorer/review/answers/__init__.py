"""What people answered: corrections, one decision per row, the rows it is about, what it says of the rest."""
