"""Argilla: records pushed to a server, and people's answers pulled back."""
