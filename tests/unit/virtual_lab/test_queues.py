import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.virtual_lab import queues
from ingest.virtual_lab.queues import Served

WORK = 60.0


def _served(ready: list[int], *, urgent: list[bool] | None = None, down: list[tuple[int, int]] | None = None) -> Served:
    is_urgent = np.array(urgent or [False] * len(ready))
    return queues.serve(ready=np.array(ready), work=np.full(len(ready), WORK), is_urgent=is_urgent, down=down or [])


def test_who_comes_first_is_served_first_and_the_others_wait() -> None:
    assert _served([100, 0, 10]).loaded.tolist() == [120, 0, 60]


def test_the_urgent_go_before_those_who_wait_but_interrupt_nobody() -> None:
    assert _served([0, 1, 2, 30], urgent=[False, False, False, True]).loaded.tolist() == [0, 120, 180, 60]


def test_nothing_is_taken_while_the_analyser_stands_still() -> None:
    assert _served([0, 70, 400], down=[(65, 300)]).loaded.tolist() == [0, 300, 400]


@given(
    ready=st.lists(st.integers(0, 5000), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
    down=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 800)), max_size=4),
)
def test_everybody_is_served_once_ready_one_after_the_other_and_never_in_a_repair(
    ready: list[int], seed: int, down: list[tuple[int, int]]
) -> None:
    urgent = (np.random.default_rng(seed).random(len(ready)) < 0.2).tolist()
    windows = [(begin, begin + lasts) for begin, lasts in down]

    found = _served(ready, urgent=urgent, down=windows)

    order = np.argsort(found.loaded)
    assert (found.loaded >= np.array(ready)).all()
    assert (found.loaded[order][1:] >= found.done[order][:-1]).all()
    assert not any(begin <= at < end for at in found.loaded.tolist() for begin, end in windows)


def test_the_pace_makes_the_peak_hours_as_busy_as_they_should_be() -> None:
    day, hours = 739_500, np.arange(7 * 3600, 11 * 3600, 30)
    ready = (day - 719_163) * 86_400 - 19_800 + hours

    pace = queues.seconds_a_test(ready, np.ones(len(ready), dtype=np.int64), ordinary=np.array([day]))

    assert pace * len(ready) == pytest.approx(0.92 * 3.5 * 3600)
