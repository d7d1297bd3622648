"""A kept transmission becomes the contract's `Message`, as the profile of its analyser says."""

from __future__ import annotations

from datetime import tzinfo

from ingest.astm.decode import decode as decode_astm
from ingest.contract import Message
from ingest.hl7.decode import decode as decode_hl7
from ingest.instruments.astm_profile import AstmProfile
from ingest.instruments.profile import Profile
from ingest.received import INDIA, Received


def decode(received: Received, profile: Profile | AstmProfile, zone: tzinfo = INDIA) -> Message:
    """Read one transmission; times without an offset are of the analyser's `zone`."""
    if isinstance(profile, AstmProfile):
        return decode_astm(received, profile, zone)
    return decode_hl7(received, profile, zone)
