"""One run from configuration to report."""
