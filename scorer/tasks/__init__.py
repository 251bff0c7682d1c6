"""Kinds of labels: how they are read, what a row's loss is, and the columns that follow."""
