"""Figures and pictures of a whole ranking."""
