from pathlib import Path

import pytest
from pydantic import ValidationError

from ingest.hl7.codec import parse
from ingest.instruments import profile as profiles
from ingest.instruments.profile import Place, first
from ingest.instruments.shipped import ProfileUnknown, load, names, read

TEXT = (Path(profiles.__file__).parent / "mindray_bs.toml").read_text("utf-8")


def test_every_shipped_profile_is_well_formed_and_says_its_source() -> None:
    assert "mindray_bs" in names()
    for name in names():
        profile = load(name)

        assert profile.name == name
        assert profile.source.manual
        assert profile.source.revision


def test_what_nobody_has_seen_on_an_analyser_is_marked() -> None:
    assert {one.place for one in load("mindray_bs").unverified} >= {"control", "observation.run"}


def test_the_codes_of_the_shipped_set_up_are_named() -> None:
    assert set(load("mindray_bs").codes) >= {"GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL"}


def test_an_unknown_profile_is_refused_and_the_known_ones_are_told() -> None:
    with pytest.raises(ProfileUnknown, match="mindray_bs"):
        load("../mindray_bs")


@pytest.mark.parametrize("wrong", ["OBX3", "OBX-0", "OBX-3.", "ZZZ-1", "OBX-3.4.5", ""])
def test_a_place_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValidationError):
        read(TEXT.replace('"OBR-2"', f'"{wrong}"'))


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="colour"):
        read(TEXT.replace('format = "hl7"', 'format = "hl7"\ncolour = "red"'))


def test_an_observations_own_places_are_read_before_those_of_its_order() -> None:
    columns = load("mindray_bs").columns

    assert columns.code.here == ((3, 1), (3, 4))
    assert columns.code.plain == (3,)
    assert columns.observed_at.here == ((14, 1),)
    assert columns.observed_at.elsewhere == (Place("OBR", 7), Place("OBR", 6))


def test_the_first_place_that_holds_more_than_spaces_is_read() -> None:
    message = parse(b'MSH|^~\\&|a\rPID|1|  |""||x^ y ')
    segments = {segment.name: segment for segment in message.segments}

    assert first((Place("PID", 2), Place("PID", 3), Place("PV1", 3), Place("PID", 5, 2)), segments) == "y"
    assert first((Place("PID", 9),), segments) is None
