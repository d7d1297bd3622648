"""What can go wrong with results."""

from lims_api.core.errors import Conflict, Forbidden, NotFound, Unprocessable


class UnknownResult(NotFound):
    slug, title = "unknown-result", "There is no such result"


class ResultNotHeld(Conflict):
    slug, title = "result-not-held", "Only a held result can be authorised or rejected"


class ResultNotCorrectable(Conflict):
    slug, title = "result-not-correctable", "This result cannot be corrected"


class OwnEntry(Forbidden):
    """Segregation of duties: who entered a value may neither verify nor authorise it."""

    slug, title = "own-entry", "Entered by the same person"


class NotAuthorisable(Conflict):
    slug, title = "not-authorisable", "This result cannot be authorised as it is"


class ConcurrentDelivery(Conflict):
    slug, title = "concurrent-delivery", "The same message is being recorded by another delivery"


class AuthorisationRefused(Unprocessable):
    slug, title = "authorisation-refused", "Standing authorisation refused"


class NotANumber(Unprocessable):
    slug, title = "not-a-number", "The value is not a number"


class NotAllowed(Unprocessable):
    slug, title = "value-not-allowed", "The value is none of the test's values"


class UnknownOrderTest(NotFound):
    slug, title = "unknown-order-test", "There is no such ordered test"


class ResultNotEnterable(Conflict):
    slug, title = "result-not-enterable", "No result can be entered for this test now"


class ResultExists(Conflict):
    slug, title = "result-exists", "This test has a result"


class NotVerifiable(Conflict):
    slug, title = "not-verifiable", "This result cannot be verified as it is"


class NotCritical(Conflict):
    slug, title = "not-critical", "This result is not critical"


class UnknownParked(NotFound):
    slug, title = "unknown-parked-observation", "There is no such parked observation"


class AlreadySetAside(Conflict):
    slug, title = "already-set-aside", "This observation was set aside before"
