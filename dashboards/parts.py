"""What every page has: who looks, how new the figures are, filters, figures with their definition, tables with CSV."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import TypeVar

import polars as pl
import streamlit as st

from dashboards import data
from dashboards.access import Access, current, utc_now
from dashboards.lake import LABORATORY_ZONE

Option = TypeVar("Option", str, int)
STALE_AFTER = timedelta(hours=3)  # the pipelines publish every hour
NONE = "\u2013"


def visitor() -> Access:
    """The access of this run; without one the page ends here."""
    access = current(st.session_state, now=utc_now())
    if access is None:
        st.stop()
    return access


def heading(title: str, access: Access, table: str) -> None:
    """The page's title, and until when its figures know what happened."""
    st.title(title)
    published, newest = data.known_until(access, table)
    if published is None or newest is None:
        return
    st.caption(f"Captured until {moment(newest)}, published {moment(published)} ({age(utc_now() - published)} ago).")
    if is_stale(published, utc_now()):
        st.warning("These figures are old: nothing was published for hours. Ask who operates the pipelines.")


def is_stale(published: datetime, now: datetime) -> bool:
    """Whether so many hourly runs have failed to publish that somebody should look."""
    return now - published > STALE_AFTER


def example_mark(rows: pl.DataFrame, what: str) -> None:
    """EXAMPLE, where any of the rows rests on an example that nobody of the laboratory made its own."""
    codes = sorted(rows.filter(pl.col("is_example"))["test_code"].unique())
    if codes:
        some = ", ".join(codes[:8]) + (f" and {len(codes) - 8} more" if len(codes) > 8 else "")
        st.markdown(f":red-badge[EXAMPLE] {what} of {some} are examples, not this laboratory's own.")


def period(label: str, days: tuple[date, date], usual: int, key: str) -> tuple[date, date]:
    """Two days picked within what there is; the `usual` last ones unless changed. A half-made choice is one day."""
    first, newest = days
    last = max(first, min(newest, utc_now().astimezone(LABORATORY_ZONE).date()))
    proposed = (max(first, last - timedelta(days=usual - 1)), last)
    chosen = st.date_input(label, proposed, min_value=first, max_value=max(newest, last), format="DD/MM/YYYY", key=key)
    picked = chosen if isinstance(chosen, tuple) else (chosen,)
    return (picked[0], picked[-1]) if picked else proposed


def several(label: str, options: Sequence[Option], key: str) -> list[Option]:
    """Some of the options, or none, which means all. A remembered choice that is no option is forgotten."""
    remembered = st.session_state.get(key, [])
    if not set(remembered) <= set(options):
        st.session_state[key] = [choice for choice in remembered if choice in options]
    return st.multiselect(label, options, placeholder="All", key=key)


def one(label: str, options: Sequence[str], key: str, *, help: str | None = None) -> str:
    """One of the options, the first unless changed. A remembered choice that is no option is forgotten."""
    if st.session_state.get(key) not in options:
        st.session_state.pop(key, None)
    chosen = st.selectbox(label, options, key=key, help=help)
    return chosen if chosen is not None else options[0]


def values(rows: pl.DataFrame, column: str) -> list[str]:
    """What there is to choose from in a column."""
    return sorted(rows[column].drop_nulls().unique())


def figures(shown: Mapping[str, tuple[str, str]]) -> None:
    """Figures in a row (name: (value, definition)), as many a line as fit."""
    with st.container(horizontal=True):
        for name, (value, definition) in shown.items():
            st.metric(name, value, help=definition, width=152)


def table(rows: pl.DataFrame, names: Mapping[str, str], file: str) -> None:
    """The columns of `names` under these headings, one decimal, and the same as CSV."""
    shown = rows.select(list(names)).rename(dict(names)).with_columns(pl.col(pl.Float64).round(1))
    st.dataframe(shown, hide_index=True, width="stretch", height="content" if shown.height < 20 else 560)
    download(shown, file)


def download(rows: pl.DataFrame, file: str, *, label: str = "Download CSV") -> None:
    """A button that hands out the rows as CSV."""
    st.download_button(label, data.as_csv(rows), f"{file}.csv", "text/csv", key=f"download {file}", on_click="ignore")


def minutes(value: float | None) -> str:
    """Minutes as a person reads them."""
    return NONE if value is None else f"{value:.0f} min" if value < 600 else f"{value / 60:.1f} h"


def percent(value: float | None) -> str:
    """A share with one decimal."""
    return NONE if value is None else f"{value:.1f} %"


def moment(at: datetime) -> str:
    """An instant in India."""
    return at.astimezone(LABORATORY_ZONE).strftime("%d-%b-%Y %H:%M IST")


def age(span: timedelta) -> str:
    """How long ago, roughly."""
    passed = max(span, timedelta(0)).total_seconds() / 60
    return (
        f"{passed:.0f} min"
        if passed < 120
        else f"{passed / 60:.0f} h"
        if passed < 2880
        else f"{passed / 1440:.0f} days"
    )
