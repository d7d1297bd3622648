import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.astm.link import framed as astm_frames
from ingest.cli import app
from ingest.hl7.mllp import framed
from ingest.kept import Incoming
from ingest.spool import open_spool
from tests.unit.ingest.transmissions import DATA, oru

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)


SHAPE = ["file", "index", "format", "type", "control_id", "ok", "error", "observations"]
OBSERVED = ["specimen", "code", "text", "value", "comparator", "value_text", "unit", "flag", "status", "observed_at"]


@pytest.mark.req("1.7.4")
def test_decode_writes_one_json_object_a_message_and_goes_on_after_a_bad_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording, junk = tmp_path / "recording", tmp_path / "junk"
    recording.write_bytes(framed(oru("1", "OBR|1|S1", "OBX|1|NM|GLU||5")) + framed(b"MSH|") + framed(oru("2")))
    junk.write_bytes(b"hello")

    assert app(["decode", "--json", str(recording), str(junk), str(DATA / "sysmex_xn.astm")]) == 1

    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["file"], one["index"], one["ok"]) for one in said] == [
        (str(recording), 0, True),
        (str(recording), 1, False),
        (str(recording), 2, True),
        (str(junk), 0, False),
        (str(DATA / "sysmex_xn.astm"), 0, True),
    ]
    assert all(list(one) == SHAPE for one in said)
    assert [one["type"] for one in said] == ["ORU^R01", None, "ORU^R01", None, "result"]
    assert [one["control_id"] for one in said[:4]] == ["1", None, "2", None]
    assert list(said[4]["observations"][0]) == OBSERVED
    assert said[4]["observations"][0] == {
        "specimen": "26-000418",
        "code": "WBC",
        "text": "Leucocytes",
        "value": 7.65,
        "comparator": None,
        "value_text": "7.65",
        "unit": "10*3/uL",
        "flag": "N",
        "status": "F",
        "observed_at": "2026-01-23T14:20:05+05:30",
    }


def test_decode_without_json_is_for_reading(capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["decode", str(DATA / "mindray_bs.hl7")]) == 0

    text = capsys.readouterr().out
    assert "ORU^R01  417  ok" in text
    assert "GLU                 104.2 mg/dL        H        F  2026-01-23T14:09:55+05:30" in text


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"\x05" + astm_frames(b"H|\\^&\rL|1|N\r")[0].replace(b"N", b"M"), "frame 1 has a wrong checksum"),
        (b"H|\\^&\rP|1\rR|1|^^^GLU|5\rL|1|N\r", "record 3 (R) stands under no O"),
        (b"H|\\^&\rL|1|N\rP|1\r", "the transmission ended before its terminator record (L)"),
        (b"H|\\^&\rZ|1\rL|1|N\r", "record 2 is of no known type"),
        (oru("1", "OBR|1|S1"), "hl7apy: Missing required child OBR.OBR_4"),
    ],
)
def test_validate_names_what_is_against_the_standard(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: bytes, error: str
) -> None:
    (tmp_path / "f").write_bytes(body)

    assert app(["decode", "--json", "--validate", str(tmp_path / "f")]) == 1

    assert json.loads(capsys.readouterr().out)["error"] == error


def test_validate_finds_nothing_against_what_keeps_to_the_standard() -> None:
    assert app(["decode", "--validate", str(DATA / "mindray_bs.hl7"), str(DATA / "sysmex_xn.astm")]) == 0


def test_a_profile_of_the_other_format_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert app(["decode", "--profile", "sysmex_xn", str(DATA / "mindray_bs.hl7")]) == 1

    assert "it is hl7, and the profile sysmex_xn reads astm" in capsys.readouterr().out


def test_spool_counts_and_names_what_was_set_aside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spool = open_spool(tmp_path)
    spool.keep(
        [
            Incoming("A", "1", b"Doe^Jane", AT),
            Incoming("A", "1", b"Doe^John", AT),
            Incoming("A", "2", b"x", AT, "unsupported-type"),
        ]
    )
    spool.close()

    assert app(["spool", str(tmp_path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert app(["spool", str(tmp_path)]) == 0
    text = capsys.readouterr().out

    assert report["counts"] == {"kept": 2, "delivered": 0, "refused": 1, "purged": 0}
    assert report["oldest_waiting"] == AT.isoformat()
    assert report["alarms"] == {"control-id-reused A": 1}
    assert [one["problem"] for one in report["refused"]] == ["gateway:unsupported-type"]
    assert "gateway:unsupported-type" in text
    assert "Doe" not in text


@pytest.mark.parametrize(
    "argv",
    [
        ["spool", "nowhere"],
        ["decode", "nowhere.hl7"],
        ["replay", __file__, "--to", "nowhere"],
        ["replay", "nowhere.hl7", "--to", "127.0.0.1:9"],
        ["decode", "--profile", "unknown", __file__],
        ["run", "--core", "http://127.0.0.1:1", "--spool", "s", "--api-key-file", "k"],
        ["run", "--config", "nowhere.toml"],
        ["run", "--listen", "x", "--channel", "A", "--profile", "mindray_bs", "--core", "ftp://x", "--spool", "s"],
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    assert app(argv) == 2

    assert capsys.readouterr().err.count("\n") == 1
    assert not list(tmp_path.iterdir())
