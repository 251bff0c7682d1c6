"""Delimited text and JSON cut into records, fields and values."""
