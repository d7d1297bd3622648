"""What can go wrong with files."""

from lims_api.core.errors import LimsError, NotFound


class FileUnknown(NotFound):
    slug, title = "file-unknown", "There is no such file"


class FileErased(LimsError):
    status, slug, title = 410, "file-erased", "The person this file is about was erased"


class FileLost(LimsError):
    """The row stands, the file does not: the store must be restored. An operator must learn of it, hence 500."""

    status, slug, title = 500, "file-lost", "The file is missing from the store"


class FileAltered(LimsError):
    """What lies there is not what was stored."""

    status, slug, title = 500, "file-altered", "The file was altered in the store"
