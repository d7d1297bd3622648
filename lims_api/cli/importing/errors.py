"""What can be wrong with a history."""


class HistoryUnusable(Exception):
    """The files do not fit this organization; nothing was imported. Says what to correct."""
