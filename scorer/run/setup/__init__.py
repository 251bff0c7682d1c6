"""Everything that a run opens and checks before it writes its first byte."""
