"""Work done in a process beside this one comes back as if it had been done here."""

import os
import signal
from functools import partial
from math import sqrt

import pytest

from pipelines.side import SideDied, beside, do, warm_up


def test_without_a_process_the_work_is_done_here() -> None:
    assert do("dbt", os.getpid) == os.getpid()


def test_with_a_process_the_work_is_done_there_and_state_is_kept() -> None:
    with beside("dbt", "learning"):
        there = do("dbt", os.getpid)
        again, elsewhere = do("dbt", os.getpid), do("learning", os.getpid)

    assert there == again
    assert len({os.getpid(), there, elsewhere}) == 3
    assert do("dbt", os.getpid) == os.getpid()


def test_an_exception_is_raised_here() -> None:
    with beside("dbt"), pytest.raises(ValueError, match="math domain error"):
        do("dbt", sqrt, -1)


def test_a_warm_up_is_not_waited_for_and_may_fail() -> None:
    with beside("dbt"):
        warm_up("dbt", partial(os.chdir, "/"))
        warm_up("dbt", partial(sqrt, -1))
        warm_up("nobody", partial(sqrt, -1))
        assert do("dbt", os.getcwd) == "/"
    assert os.getcwd() != "/"


def test_a_polite_process_leaves_the_processor_to_others() -> None:
    with beside("learning"):
        warm_up("learning", os.getpid, polite=True)
        assert do("learning", os.nice, 0) == os.nice(0) + 10


def test_a_process_that_dies_is_noticed() -> None:
    with beside("dbt"):
        there = do("dbt", os.getpid)
        with pytest.raises(SideDied):
            do("dbt", os.kill, there, signal.SIGKILL)
