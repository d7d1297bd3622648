"""Verification: what was released automatically, what was held and why, how long it waited, what was corrected."""

from datetime import date

import polars as pl
import streamlit as st

from dashboards import charts, data, parts, verification
from dashboards.access import Access, utc_now
from dashboards.lake import RESULTS
from dashboards.verification import AUTOMATIC, PERSON, SET_ASIDE, WAITING, with_outcome

USUAL_DAYS = 7
FILTERS = {"site_name": "Site", "discipline": "Discipline", "test": "Test", "priority": "Priority",
           "analyser_code": "Analyser"}  # fmt: skip
COUNTS = {"results": "Results", "automatic_percent": "Automatic, %", "held_percent": "Held, %", PERSON: PERSON,
          WAITING: WAITING, SET_ASIDE: SET_ASIDE, "median_wait": "Median wait, min",
          "p90_wait": "90th percentile, min"}  # fmt: skip


def page(access: Access) -> None:
    """Results of a period: outcomes, days, reasons, tests, versions, corrections."""
    days = data.judged_days(access)
    if days is None:
        st.info(
            "No result was judged here yet, as far as the lake knows; imported history does not count. Results appear "
            "after the next hourly run of the pipelines (or `lims pipelines run`)."
        )
        return
    rows, corrections = filters(access, days)
    if rows.is_empty():
        st.info("No result became known in this period with these filters. Choose a longer period or fewer filters.")
        return
    parts.example_mark(rows, "The limits")
    key_figures(access, rows, corrections)
    trends(rows)
    reasons(rows)
    tests(rows)
    versions(rows)
    corrected(corrections)


def filters(access: Access, days: tuple[date, date]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The results of the period and the corrections released in it that pass the filters."""
    places = st.columns([1.5, 1.1, 1.1, 1.1, 1, 1])
    with places[0]:
        chosen = parts.period("Became known", days, USUAL_DAYS, "verification period")
    rows = with_outcome(data.judged_results(access, *chosen))
    choices = {}
    for place, (column, label) in zip(places[1:], FILTERS.items(), strict=True):
        with place:
            choices[column] = parts.several(label, parts.values(rows, column), f"verification {column}")
    return data.chosen(rows, choices), data.chosen(with_outcome(data.corrections(access, *chosen)), choices)


def key_figures(access: Access, rows: pl.DataFrame, corrections: pl.DataFrame) -> None:
    """Outcomes and waits over all rows, and what waits now."""
    found = rows.select(verification.figures()).row(0, named=True)
    released = found[AUTOMATIC] + found[PERSON]
    waiting = data.held_results(access)
    oldest = verification.longest_wait(waiting, utc_now())
    parts.figures(
        {
            "Results": (
                f"{found['results']:,}",
                "Results that became known in the period. Imported history is left out.",
            ),
            "Automatic": (
                parts.percent(found["automatic_percent"]),
                "Share released without a person, under a signatory's standing authorisation.",
            ),
            "Held": (
                parts.percent(found["held_percent"]),
                "Share held for a person for at least one reason: released by a person since, still waiting, or set "
                "aside (replaced by another measurement, or rejected).",
            ),
            "By a person": (f"{found[PERSON]:,}", "Held results that a person released."),
            "Median wait": (
                parts.minutes(found["median_wait"]),
                "Half of the results that a person released had waited at most this long since they became known.",
            ),
            "Waiting now": (
                f"{waiting.height:,}",
                "Held results of any day, corrections included, whatever the filters."
                + (f" The oldest for {parts.minutes(oldest)}." if oldest is not None else ""),
            ),
            "Corrections": (
                f"{corrections.height:,}"
                + (f" ({1000 * corrections.height / released:.1f} \u2030)" if released else ""),
                "Results released in the period although an earlier version of the same specimen and test had been "
                "released; beside it, for each thousand results released.",
            ),
        }
    )


def trends(rows: pl.DataFrame) -> None:
    """Outcomes and the hold rate, day by day."""
    left, right = st.columns(2)
    left.subheader("Outcome each day")
    left.altair_chart(
        charts.shares_by_day(verification.outcomes(rows, "day")), width="stretch", alt="Shares of outcomes each day"
    )
    right.subheader("Hold rate")
    line = charts.trend(verification.by(rows, "day"), {"held_percent": "Held"}, "share of results, %", ceiling=100)
    right.altair_chart(line, width="stretch", alt="Share of held results each day")


def reasons(rows: pl.DataFrame) -> None:
    """Why results were held."""
    st.subheader("Why held")
    found = verification.by_reason(rows)
    if found.is_empty():
        st.info("Nothing was held.")
        return
    left, right = st.columns([2, 3])
    chart = charts.counts(found, "text", "results", "held results")
    left.altair_chart(chart, width="stretch", alt="Held results by reason")
    with right:
        names = {"text": "Reason", "kind": "Kind", "code": "Code", "results": "Results", "percent": "Of the held, %",
                 "alone": "For this alone", "median_wait": "Median wait, min"}  # fmt: skip
        parts.table(found, names, "hold_reasons")
        st.caption(
            "A result held for several reasons counts for each. Nothing overrides a gate; a rule compares with "
            "limits and history; the model only adds holds."
        )


def tests(rows: pl.DataFrame) -> None:
    """Outcomes of each test, most held first."""
    st.subheader("Each test")
    found = verification.by(rows, "test").sort("held_percent", "test", descending=[True, False])
    left, right = st.columns([2, 3])
    chart = charts.shares_by_test(verification.outcomes(rows, "test"), found["test"].to_list())
    left.altair_chart(chart, width="stretch", alt="Shares of outcomes of each test")
    with right:
        parts.table(found, {"test": "Test"} | COUNTS, "verification_by_test")


def versions(rows: pl.DataFrame) -> None:
    """Under which model and rules the results were judged."""
    st.subheader("Model and rules")
    names = {"model_version": "Model", "rules_version": "Rules"}
    known = rows.with_columns(pl.col("model_version").fill_null("none"))
    parts.table(verification.by(known, *names), names | COUNTS, "verification_by_version")


def corrected(corrections: pl.DataFrame) -> None:
    """What a reader of a report saw first as another value."""
    st.subheader("Corrections after release")
    if corrections.is_empty():
        st.info("No released result was corrected in this period.")
        return
    names = {"at": "Released (IST)", "test": "Test", "site_name": "Site", "analyser_code": "Analyser", "entry": "Entry",
             "reasons": "Codes"}  # fmt: skip
    parts.table(verification.corrected(corrections), names, "corrections")


visiting = parts.visitor()
parts.heading("Verification", visiting, RESULTS)
page(visiting)
