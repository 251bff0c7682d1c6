"""Where shards are scored: in this process, or in several. A shard's files are the same either way, bit for bit."""
