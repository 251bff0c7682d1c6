"""Corrections applied: a data set with labels changed where people decided so, and nowhere else."""
