"""From the score shards of a run, or of several, to one ranking, whatever their size."""
