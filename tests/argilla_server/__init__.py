"""A real Argilla server for tests; see README.md."""
