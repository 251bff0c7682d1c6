"""Labels changed in files of each format; every other byte stays as it was."""
