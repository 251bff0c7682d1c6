"""The commands: each parses, builds a configuration, makes one call and prints; imports stay light until they run."""
