"""Reviewing by files: Label Studio and spreadsheets."""
