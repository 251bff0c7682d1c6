"""What a terminal shows: rankings, progress, help."""
