"""The shipped profiles: one `<vendor>_<model>.toml` a model, beside this module."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile


class ProfileUnknown(LookupError):
    """No profile of that name is shipped."""


GENERIC = {"hl7": "generic_hl7", "astm": "generic_astm"}


@cache
def load(name: str) -> Profile | AstmProfile:
    """The shipped profile of that name. Raises `ProfileUnknown`, or `ValidationError` when it is malformed."""
    if name not in names():
        raise ProfileUnknown(f"no profile {name!r}; there are: {', '.join(names())}")
    return read((files(__package__) / f"{name}.toml").read_text("utf-8"))


def read(text: str) -> Profile | AstmProfile:
    """A profile from its TOML text."""
    values = tomllib.loads(text)
    model = AstmProfile if values.get("format") == "astm" else Profile
    return model.model_validate(values)


def recognised(format: str, sender: str) -> Profile | AstmProfile:
    """The profile of the model that the sender's name tells, else the generic one of its format."""
    for profile in map(load, names()):
        if profile.format == format and profile.senders and profile.senders.fullmatch(sender):
            return profile
    return load(GENERIC[format])


def names() -> list[str]:
    """Every shipped profile."""
    found = (entry.name for entry in files(__package__).iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))
