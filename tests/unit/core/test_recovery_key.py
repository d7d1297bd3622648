"""The recovery key as a person reads and types it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lims_api.core.key_backup import RecoveryKeyWrong, read_recovery_key, recovery_lines

keys = st.binary(min_size=32, max_size=32)


@given(keys)
def test_what_is_printed_can_be_typed(key: bytes) -> None:
    lines = recovery_lines(key)

    assert len(lines) == 4
    assert all(len(line.split()) == 5 for line in lines)
    assert read_recovery_key("\n".join(lines)) == key
    assert read_recovery_key("  ".join(lines).upper()) == key
    assert read_recovery_key("".join(lines).replace(" ", "")) == key
    assert read_recovery_key("-".join(" ".join(lines).split())) == key


@given(keys, st.integers(0, 3), st.integers(0, 19), st.sampled_from("0123456789abcdef"))
def test_one_wrong_character_is_found_with_its_line(key: bytes, line: int, place: int, character: str) -> None:
    lines = [each.replace(" ", "") for each in recovery_lines(key)]
    if lines[line][place] == character:
        return
    lines[line] = lines[line][:place] + character + lines[line][place + 1 :]

    refusal = refused("".join(lines))

    assert refusal is None or f"Line {line + 1}" in refusal
    assert refusal is None or lines[line] not in refusal
    if refusal is None:  # one in 65,536 has the same check; the file's own name for its sheet finds it
        assert read_recovery_key("".join(lines)) != key


def refused(typed: str) -> str | None:
    try:
        read_recovery_key(typed)
    except RecoveryKeyWrong as refusal:
        return str(refusal)
    return None


@given(keys, st.permutations(range(4)))
def test_lines_in_another_order_are_refused(key: bytes, order: list[int]) -> None:
    lines = recovery_lines(key)
    if order == [0, 1, 2, 3]:
        return

    with pytest.raises(RecoveryKeyWrong):
        read_recovery_key("\n".join(lines[each] for each in order))


@pytest.mark.parametrize("typed", ["", "abc", "0" * 79, "0" * 81, "g" * 80, "0" * 80, "\N{DEVANAGARI DIGIT ZERO}" * 80])
def test_what_is_no_recovery_key_is_refused(typed: str) -> None:
    with pytest.raises(RecoveryKeyWrong):
        read_recovery_key(typed)
