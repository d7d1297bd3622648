"""Verification in figures: each result has one outcome, and reasons never lose a result."""

from datetime import UTC, datetime
from typing import Any

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from dashboards import verification
from dashboards.reasons import REASONS
from dashboards.verification import AUTOMATIC, OUTCOMES

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SCHEMA = {"test_code": pl.String, "test_name": pl.String, "status": pl.String, "is_automatic": pl.Boolean,
          "authorised_at": pl.Datetime("us", "UTC"), "minutes_held": pl.Float64, "reasons": pl.String}  # fmt: skip
results = st.fixed_dictionaries(
    {
        "test_code": st.sampled_from(["GLU", "K"]),
        "test_name": st.none(),
        "status": st.sampled_from(["held", "authorised", "superseded", "rejected"]),
        "is_automatic": st.booleans(),
        "authorised_at": st.sampled_from([None, AT]),
        "minutes_held": st.one_of(st.none(), st.floats(0, 1e4)),
        "reasons": st.lists(st.sampled_from(sorted(REASONS)), unique=True, max_size=4).map(",".join),
    }
)


@given(st.lists(results, min_size=1, max_size=30))
def test_each_result_has_one_outcome_and_the_shares_make_a_hundred(drawn: list[dict[str, Any]]) -> None:
    rows = verification.with_outcome(pl.DataFrame(drawn, schema=SCHEMA))

    found = rows.select(verification.figures()).row(0, named=True)

    assert sum(found[outcome] for outcome in OUTCOMES) == found["results"] == len(drawn)
    assert abs(found["automatic_percent"] + found["held_percent"] - 100) < 1e-9
    bars = verification.outcomes(rows, "test").group_by("test").agg(pl.col("percent").sum())
    assert all(abs(total - 100) < 1e-9 for total in bars["percent"])


@given(st.lists(results, min_size=1, max_size=30))
def test_every_reason_of_every_held_result_is_counted(drawn: list[dict[str, Any]]) -> None:
    rows = verification.with_outcome(pl.DataFrame(drawn, schema=SCHEMA))

    told = verification.by_reason(rows)

    held = [row["reasons"].split(",") for row in rows.to_dicts() if row["outcome"] != AUTOMATIC and row["reasons"]]
    assert told["results"].sum() == sum(len(reasons) for reasons in held)
    assert told["alone"].sum() == sum(len(reasons) == 1 for reasons in held)
    assert set(told["code"]) == {reason for reasons in held for reason in reasons}


def test_a_code_of_a_later_version_is_shown_as_it_is() -> None:
    row = {"test_code": "K", "test_name": None, "status": "held", "is_automatic": False, "reasons": "moon_phase"}
    rows = verification.with_outcome(pl.DataFrame([row], schema=SCHEMA))

    (told,) = verification.by_reason(rows).to_dicts()

    assert (told["text"], told["kind"]) == ("moon_phase", "unknown")


def test_where_nothing_waits_there_is_no_longest_wait() -> None:
    assert verification.longest_wait(pl.DataFrame(schema={"available_at": pl.Datetime("us", "UTC")}), AT) is None
