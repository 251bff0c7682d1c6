"""Which position a head reads, and the last layer computed for that one alone."""
