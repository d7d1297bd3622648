"""Kept transmissions are read again as they were read, and their measurements are found in the bytes."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ingest.astm.link import unframed
from ingest.contract import Message
from ingest.decode import decode
from ingest.instruments.shipped import ProfileUnknown, load
from ingest.reparse import Profiles, answers, places
from tests.unit.ingest.transmissions import AT, DATA, oru, received

SHIPPED = Path("ingest/instruments/mindray_bs.toml")


def question(body: bytes, model: str = "mindray_bs", **changed: object) -> str:
    kept = received(body)
    asked: dict[str, object] = {
        "model": model, "channel": kept.channel, "control_id": kept.control_id, "body_sha256": kept.body_sha256,
        "received_at": AT.isoformat(), "body": b64encode(body).decode(),
    }  # fmt: skip
    return json.dumps(asked | changed)


def body() -> bytes:
    return (DATA / "mindray_bs.hl7").read_bytes()


@pytest.mark.req("11.1")
@pytest.mark.parametrize("model", ["mindray_bs", "BS-480"])
def test_the_answer_is_the_message_as_it_was_decoded(model: str) -> None:
    (line,) = answers([question(body(), model)], Profiles())

    answer = json.loads(line)
    assert Message.model_validate(answer["message"]) == decode(received(body()), load("mindray_bs"))
    assert answer["profile"] == "mindray_bs"
    assert len(answer["profile_sha256"]) == 64


def test_each_place_holds_the_observations_own_record() -> None:
    message = decode(received(body()), load("mindray_bs"))

    ((*found,),) = places(message)

    texts = [body()[offset : offset + length].decode() for offset, length in found]
    assert [text.split("|")[3] for text in texts] == [one.code for one in message.groups[0].observations]
    assert all(text.startswith("OBX|") for text in texts)


def test_a_value_among_remarks_and_pictures_is_found_by_its_number() -> None:
    (transmission,) = unframed((DATA / "sysmex_xn.astm").read_bytes())
    sent = transmission.body.replace(b"R|1|^^^^WBC", b"R|0|^^^^SCAT_X|PNG\rR|1|^^^^WBC")
    message = decode(received(sent), load("sysmex_xn"))

    ((*found,),) = places(message)

    assert [sent[offset : offset + length].split(b"|")[2] for offset, length in found] == [
        b"^^^^WBC^1", b"^^^^RBC^1", b"^^^^HGB^1", b"^^^^PLT^1", b"^^^^NEUT#^1",
    ]  # fmt: skip


def test_a_control_in_its_obr_has_no_place() -> None:
    message = decode(received((DATA / "mindray_bs_control.hl7").read_bytes()), load("mindray_bs"))

    assert places(message) == [[]]


@given(st.lists(st.sampled_from(["OBX|1|NM|GLU||85|mg/dL", "OBR|1|S1", "PID|1", "NTE|1|OBX|", "OBX", "ZOB|OBX|1"])))
def test_a_place_is_told_for_every_observation_of_a_group_or_for_none(segments: list[str]) -> None:
    sent = oru("1", *segments)
    message = decode(received(sent), load("mindray_bs"))

    for group, found in zip(message.groups, places(message), strict=True):
        assert len(found) in (0, len(group.observations))
        assert all(sent[offset : offset + 3] == b"OBX" for offset, _ in found)


def test_a_profile_of_another_day_goes_before_the_shipped_one(tmp_path: Path) -> None:
    other = SHIPPED.read_text().replace('value = "OBX-5"', 'value = "OBX-13"')
    (tmp_path / "mindray_bs.toml").write_text(other)

    now, then = (json.loads(next(answers([question(body())], Profiles(folder)))) for folder in (None, tmp_path))

    assert now["profile_sha256"] != then["profile_sha256"]
    assert now["message"]["groups"][0]["raw"] == then["message"]["groups"][0]["raw"]


@pytest.mark.req("11.1")
@pytest.mark.parametrize("model", ["", "nobody's", "../mindray_bs"])
def test_a_model_without_a_profile_is_a_problem_and_no_reading(model: str, tmp_path: Path) -> None:
    (line,) = answers([question(body(), model)], Profiles(tmp_path))

    assert json.loads(line).keys() == {"problem"}
    with pytest.raises(ProfileUnknown):
        Profiles(tmp_path).of(model)


def test_an_unknown_time_zone_is_a_problem() -> None:
    (line,) = answers([question(body(), timezone="Asia/Atlantis")], Profiles())

    assert "Atlantis" in json.loads(line)["problem"]


def test_what_is_no_question_ends_the_program_without_quoting_it() -> None:
    with pytest.raises(ValidationError):
        next(answers(['{"model": "mindray_bs"}'], Profiles()))
