"""The review page: one HTML file for those who run no server."""
