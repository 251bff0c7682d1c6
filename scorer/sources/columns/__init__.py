"""Which columns hold what, and their values as texts, ids and labels."""
