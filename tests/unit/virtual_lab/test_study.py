"""What the CDISC pilot study's file holds, counted before anything of ours reads it."""

from collections import Counter
from pathlib import Path

import pytest

from tests import study


@pytest.mark.req("7.2.1")
def test_the_file_holds_what_is_expected_of_it(shared: Path) -> None:
    rows = study.rows(shared)

    assert Counter((study.kind(row), row["LBNRIND"]) for row in rows) == {
        ("judged", "NORMAL"): 29_250,
        ("judged", "HIGH"): 842,
        ("judged", "LOW"): 357,
        ("comparator", "LOW"): 1,
        ("comparator", ""): 3,
        ("no limits", "NORMAL"): 943,
        ("no limits", "ABNORMAL"): 168,
        ("text", "NORMAL"): 479,
    }
    assert Counter(map(study.kind, rows)) == {"judged": 30_449, "comparator": 4, "no limits": 1_111, "text": 479}
    assert len(rows) == 32_043


def test_no_subject_has_a_test_twice_at_one_time_scheduled_or_not(shared: Path) -> None:
    rows = study.rows(shared)

    assert max(Counter((row["USUBJID"], row["LBTESTCD"], study.moment(row)) for row in rows).values()) == 1
    assert sum(row["VISIT"].startswith("UNSCHEDULED") for row in rows) == 1_070
    assert Counter(len(row["LBDTC"]) for row in rows) == {16: 31_968, 10: 75}


def test_each_test_of_the_file_has_one_unit(shared: Path) -> None:
    units = {(row["LBTESTCD"], row["LBORRESU"]) for row in study.rows(shared)}

    assert len(units) == len({test for test, _ in units}) == 45
