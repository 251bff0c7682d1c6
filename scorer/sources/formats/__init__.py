"""The formats of tables, each read by a module of its own."""
