"""Bytes and texts of files, on a disk or in an object store, and what a table must offer."""
