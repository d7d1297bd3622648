"""Specimens: collected, accessioned, received or rejected."""
