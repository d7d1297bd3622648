"""What can go wrong when someone signs in."""

from lims_api.core.errors import Unauthenticated


class SignInRefused(Unauthenticated):
    """The same for an unknown organization, an unknown user and a wrong password."""

    slug, title = "sign-in-refused", "Sign-in refused"
