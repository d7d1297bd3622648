"""What can go wrong with an app's commands."""

from lims_api.core.errors import Conflict, NotFound, Unprocessable


class UnknownCommand(NotFound):
    slug, title = "unknown-command", "There is no such command"


class CommandIdReused(Conflict):
    slug, title = "command-id-reused", "Command id used for another command"


class NotStorable(Unprocessable):
    """A NUL, a number or a date beyond what the database takes."""

    slug, title = "not-storable", "The body holds something that cannot be stored"
