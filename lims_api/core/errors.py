"""What can go wrong, in the laboratory's words; rendered as problem+json (RFC 9457) by `core/http`.

A domain subclasses one of these in its `errors.py` and sets `slug` and `title`. `detail` says what to do next and
never holds personal data.
"""

from typing import Any, ClassVar


class LimsError(Exception):
    """An expected refusal: it changes nothing and is shown to the caller as it is."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "bad-request"
    title: ClassVar[str] = "Bad request"

    def __init__(self, detail: str, **facts: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.facts = facts


class Unauthenticated(LimsError):
    status, slug, title = 401, "unauthenticated", "Sign in first"


class Forbidden(LimsError):
    status, slug, title = 403, "forbidden", "Permission missing"


class NotFound(LimsError):
    """Also for what belongs to another organization: it does not exist for this caller."""

    status, slug, title = 404, "not-found", "Not found"


class Conflict(LimsError):
    status, slug, title = 409, "conflict", "Conflict with the present state"


class IdTaken(Conflict):
    """Of a row whose id the client made."""

    slug, title = "id-taken", "This id is in use"


class Unprocessable(LimsError):
    status, slug, title = 422, "unprocessable", "Cannot be processed"


class IdempotencyKeyMissing(LimsError):
    status, slug, title = 400, "idempotency-key-missing", "Idempotency-Key header missing"


class IdempotencyKeyReused(Conflict):
    slug, title = "idempotency-key-reused", "Idempotency-Key used for another request"
