import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingest.cli import app
from ingest.contract import Message
from ingest.hl7.mllp import framed
from ingest.spool import Incoming, open_spool
from tests.unit.ingest.transmissions import DATA, oru

AT = datetime(2026, 1, 23, 8, 45, tzinfo=UTC)


def test_decode_writes_one_message_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = tmp_path / "recording"
    recording.write_bytes(framed(oru("1", "OBR|1|S1", "OBX|1|NM|GLU||5")) + framed(oru("2")))

    assert app(["decode", str(DATA / "mindray_bs.hl7"), str(recording)]) == 0

    messages = [Message.model_validate_json(line) for line in capsys.readouterr().out.splitlines()]
    assert [message.control_id for message in messages] == ["417", "1", "2"]
    assert messages[0].groups[0].specimen == "26-000417"


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
