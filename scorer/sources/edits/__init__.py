"""Labels changed in batches and in Parquet chunks; every other value stays as it was."""
