"""The inner loop: rows in, scored windows out. Writes nothing."""
