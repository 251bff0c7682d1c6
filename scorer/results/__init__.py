"""The directory of a run: its manifest, its shards, what is counted, its report."""
