"""Stored files: sealed on disk, known by their hash."""
