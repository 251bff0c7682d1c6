"""The commands: each parses, builds a configuration, makes one call and prints. No logic; imports light until they run."""
