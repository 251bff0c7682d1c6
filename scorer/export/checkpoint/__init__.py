"""Is a checkpoint read as it was trained? Its config.json, settings, weights, class names and tokenizer."""
