import numpy as np
import pytest

from ingest.virtual_lab import decisions, spoiling, transport
from ingest.virtual_lab.decisions import KINDS, Seen
from ingest.virtual_lab.errors import ErrorKind
from ingest.virtual_lab.spoiling import Tubes

MORNING = 1_700_000_000 // 86_400 * 86_400 - 19_800 + 8 * 3600 + 1800


def _seen(kind: ErrorKind | None, count: int, *, largest: float, has_history: bool = True) -> Seen:
    number = KINDS.index(kind) if kind else -1
    return Seen(kind=np.full(count, number), largest=np.full(count, largest), has_history=np.full(count, has_history))


def _held(seen: Seen, hours_into_shift: float) -> float:
    at = np.full(len(seen.kind), MORNING + int(hours_into_shift * 3600) - 1800)
    decided = decisions.decide(np.random.default_rng(1), seen, at)
    return float(decided.is_held[decided.flag_shown < 0].mean())


@pytest.mark.parametrize(
    ("kind", "largest", "has_history", "share"),
    [
        (ErrorKind.SWAP, 5, True, 0.82),
        (ErrorKind.SWAP, 5, False, 0.35),
        (ErrorKind.HAEMOLYSIS, 0.5, True, 0.9),
        (ErrorKind.MANUAL_ENTRY, 1.5, True, 0.05),
        (None, 0, True, 0.03),
    ],
)
def test_people_see_swaps_by_the_past_haemolysis_by_eye_and_small_errors_hardly(
    kind: ErrorKind | None, largest: float, has_history: bool, share: float
) -> None:
    seen = _seen(kind, 40_000, largest=largest, has_history=has_history)

    assert _held(seen, 1) == pytest.approx(share, abs=0.012)


def test_after_three_hours_less_is_seen() -> None:
    seen = _seen(ErrorKind.HAEMOLYSIS, 40_000, largest=3)

    assert _held(seen, 4) == pytest.approx(_held(seen, 1) - 0.1, abs=0.015)


def test_results_of_the_night_are_looked_at_in_the_morning() -> None:
    night = np.full(100, MORNING + 15 * 3600)

    looked = decisions.looked_at(np.random.default_rng(1), night)

    local = (looked + transport.INDIA_AHEAD_SECONDS) % 86_400 / 3600
    assert ((local >= 8) & (local <= 9)).all()
    assert (looked > night).all()


def test_a_swap_spoils_two_neighbours_of_one_kind_of_tube_with_each_others_values() -> None:
    count = 40_000
    tubes = Tubes(
        visit=np.arange(count), is_serum=np.ones(count, bool), first_row=np.arange(count), rows=np.ones(count, np.int64)
    )
    every = np.tile(np.arange(1.0, count + 1)[:, None], (1, 44))
    test = np.full(count, 4)

    found = spoiling.spoil(
        np.random.default_rng(1),
        tubes,
        test=test,
        clean=every[:, 4],
        every=every,
        neighbour=np.roll(np.arange(count), -1),
    )

    swapped = np.nonzero(found.kind == KINDS.index(ErrorKind.SWAP))[0]
    assert 30 < len(swapped) < 90
    assert (np.abs(found.sent[swapped] - every[swapped, 4]) == 1).all()
    clean = found.kind < 0
    assert (found.sent[clean] == every[clean, 4]).all()
