"""Bills: what an order costs, who pays it, how, and when. Diagnostic services are exempt from GST, so no tax is added.

Exempt by entry 74 of Notification 12/2017-Central Tax (Rate): health care services by a clinical establishment, which
names places of diagnostic or investigative services (the project's facts page on e-invoices).
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ingest.virtual_lab import panels
from ingest.virtual_lab.analytes import Numbers
from ingest.virtual_lab.cohort import Indices, Origin
from ingest.virtual_lab.decisions import instants
from ingest.virtual_lab.failures import EPOCH
from ingest.virtual_lab.transport import DAY, INDIA_AHEAD_SECONDS

# All figures are EXAMPLE.
PAYERS = {"walk_in": "self", "home": "self", "b2b": "b2b", "camp": "camp"}
AGREED = {"self": 0.0, "b2b": 0.35, "camp": 0.5}
REDUCED, REDUCED_BY = 0.2, 0.1
METHODS = ("cash", "upi", "card", "credit")
METHOD_SHARES = (0.30, 0.55, 0.12, 0.03)
CREDIT = METHODS.index("credit")
AT_THE_DESK_SECONDS = (20, 180)
DUES_PAID_AFTER_DAYS = (1, 20)
ON_ACCOUNT_PAID_AFTER_DAYS = (10, 55)  # after the end of the month
RUPEES = pl.Decimal(12, 2)
SCHEMA = {
    "order_number": pl.String(),
    "billed_at": pl.Datetime("us", "UTC"),
    "payer": pl.String(),
    "price_inr": RUPEES,
    "discount_inr": RUPEES,
    "amount_inr": RUPEES,
    "method": pl.String(),
    "paid_at": pl.Datetime("us", "UTC"),
}


def history(origin: Origin, results: pl.DataFrame) -> pl.DataFrame:
    """One row an order of `results`: `bills.parquet`. Whole rupees; `paid_at` is null until the origin's end."""
    rng = np.random.default_rng([origin.seed, 17])
    orders = results.unique("order_number").sort("order_number")
    payer = orders["source"].replace_strict(PAYERS)
    is_own = (payer == "self").to_numpy()
    price = orders["panel"].replace_strict({one.code: one.price for one in panels.panels()}).to_numpy()
    discount = _discounts(rng, payer, price)
    method = np.where(is_own, rng.choice(len(METHODS), len(is_own), p=METHOD_SHARES), CREDIT)
    billed = orders["ordered_at"].dt.epoch("s").to_numpy() + rng.integers(*AT_THE_DESK_SECONDS, len(is_own))
    paid = _paid(rng, billed, is_own, method)
    end = (origin.until.toordinal() - EPOCH) * DAY - INDIA_AHEAD_SECONDS
    return pl.DataFrame(
        {
            "order_number": orders["order_number"],
            "billed_at": instants(billed),
            "payer": payer,
            "price_inr": price,
            "discount_inr": discount,
            "amount_inr": price - discount,
            "method": pl.Series(METHODS).gather(method),
            "paid_at": instants(paid).zip_with(pl.Series(paid < end), pl.Series([None], dtype=SCHEMA["paid_at"])),
        }
    ).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def _discounts(rng: np.random.Generator, payer: pl.Series, price: Indices) -> Indices:
    """As agreed with who sends many; of those who pay themselves, some get a tenth."""
    agreed: Numbers = payer.replace_strict(AGREED, return_dtype=pl.Float64).to_numpy()
    is_reduced = (payer == "self").to_numpy() & (rng.random(len(price)) < REDUCED)
    return np.rint(price * np.where(is_reduced, REDUCED_BY, agreed)).astype(np.int64)


def _paid(rng: np.random.Generator, billed: Indices, is_own: NDArray[np.bool_], method: Indices) -> Indices:
    """At the desk; dues some days later; accounts after the month's end, in the office's hours."""
    dues = rng.integers(*DUES_PAID_AFTER_DAYS, len(billed)) * DAY
    day = (billed + INDIA_AHEAD_SECONDS) // DAY
    closes = np.array([_next_month(date.fromordinal(one + EPOCH)) for one in day.tolist()], dtype=np.int64) - EPOCH
    at_office = rng.integers(10 * 3600, 18 * 3600, len(billed)) - INDIA_AHEAD_SECONDS
    on_account = (closes + rng.integers(*ON_ACCOUNT_PAID_AFTER_DAYS, len(billed))) * DAY + at_office
    return np.where(method != CREDIT, billed, np.where(is_own, billed + dues, on_account))


def _next_month(day: date) -> int:
    """The ordinal of the first day of the month after."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1).toordinal()
