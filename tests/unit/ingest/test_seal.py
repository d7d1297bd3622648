import stat
from pathlib import Path

import pytest

from ingest.seal import KeyUnusable, Sealer, Unsealable, create_key, load_key


def test_sealed_bytes_open_only_where_they_belong(tmp_path: Path) -> None:
    sealer = create_key(tmp_path / "key")

    sealed = sealer.seal(b"a body", "channel|1|hash")

    assert b"a body" not in sealed
    assert sealer.open(sealed, "channel|1|hash") == b"a body"
    for place, bytes_there in (("channel|2|hash", sealed), ("channel|1|hash", sealed[:-1] + b"\0"), ("x", b"")):
        with pytest.raises(Unsealable):
            sealer.open(bytes_there, place)


def test_the_same_bytes_are_never_sealed_alike() -> None:
    sealer = Sealer(bytes(32))

    assert sealer.seal(b"a", "b") != sealer.seal(b"a", "b")


def test_a_new_key_is_for_its_owner_only_and_never_replaces_one(tmp_path: Path) -> None:
    path = tmp_path / "key"

    sealer = create_key(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path).fingerprint == sealer.fingerprint
    with pytest.raises(FileExistsError):
        create_key(path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    create_key(path)
    path.chmod(mode)

    with pytest.raises(KeyUnusable, match="0600"):
        load_key(path)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "é"])
def test_a_file_that_holds_no_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, "utf-8")
    path.chmod(0o600)

    with pytest.raises(KeyUnusable):
        load_key(path)


def test_a_missing_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable):
        load_key(tmp_path / "none")
