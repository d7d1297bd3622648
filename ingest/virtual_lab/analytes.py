"""The 44 analytes: how they vary within and between persons, which follow from others, and how they are printed.

Values are modelled as logarithms, so that every analyte stays positive and a disease is a factor. The figures are data
(`analytes.toml`); this module only shapes them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
HAEMATOLOGY = "XN1000-1"
DILUTED = "DIL"  # the flag of a value that was measured in a diluted specimen
SERUM, WHOLE_BLOOD = ("Serum", "SST 5 mL"), ("Whole blood", "EDTA 3 mL")
PERCENT = ("between", "within", "analytic")
SHARE_OF_TRIGLYCERIDES = 0.2
MOST_DIRECT = 0.95
MOST_ALBUMIN = 0.85


@dataclass(frozen=True, kw_only=True)
class Analyte:
    """One measured quantity; `unit` is UCUM, `within`, `between` and `analytic` are coefficients of variation."""

    code: str
    name: str
    loinc: str
    unit: str
    analyser: str
    decimals: int
    reportable_low: float
    reportable_high: float
    male: float
    female: float
    between: float
    within: float
    analytic: float
    per_decade: float
    child: float
    control: tuple[float, float]

    @property
    def specimen(self) -> tuple[str, str]:
        """Specimen type and container."""
        return WHOLE_BLOOD if self.analyser == HAEMATOLOGY or self.code == "HBA1C" else SERUM


@dataclass(frozen=True, kw_only=True)
class Reported:
    """A value as an analyser prints it: rounded, and cut at the reportable range with a comparator."""

    text: str
    value: float
    comparator: str | None = field(default=None)
    is_diluted: bool = False


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("analytes.toml").read_text(encoding="utf-8"))


def _shares(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value / 100 if name in PERCENT else value for name, value in row.items()}


@cache
def analytes() -> tuple[Analyte, ...]:
    """The analytes in the order of every array's last axis."""
    return tuple(Analyte(**{**_shares(row), "control": tuple(row["control"])}) for row in _file()["analyte"])


@cache
def codes() -> tuple[str, ...]:
    """The test codes in the order of `analytes`."""
    return tuple(row.code for row in analytes())


@cache
def place(code: str) -> int:
    """Where an analyte stands in every array's last axis. Raises `KeyError` for one that is not modelled."""
    return {code: index for index, code in enumerate(codes())}[code]


def analyte(code: str) -> Analyte:
    """The analyte with this test code. Raises `KeyError` for one that the laboratory does not model."""
    return analytes()[place(code)]


def column(name: str) -> Numbers:
    """One property of all analytes as the table has it, e.g. `column("analytic")`, in the order of `analytes`."""
    return np.array([getattr(row, name) for row in analytes()], dtype=np.float64)


def drawn(name: str) -> Numbers:
    """The same of what is drawn: in the place of a computed analyte that has one, its hidden part."""
    found = column(name)
    for code, row in _file()["drawn"].items():
        found[place(code)] = _shares(row).get(name, found[place(code)])
    return found


@cache
def correlation(kind: str) -> Numbers:
    """The correlation matrix of the drawn logarithms, `kind` "between", "within" or "analytic"; positive definite."""
    which = PERCENT.index(kind) + 2
    matrix = np.eye(len(codes()))
    for row in _file()["correlation"]:
        first, second = place(row[0]), place(row[1])
        matrix[first, second] = matrix[second, first] = row[which]
    return matrix


@cache
def root(kind: str) -> Numbers:
    """The Cholesky factor of `correlation(kind)`: independent normals times its transpose are correlated."""
    return np.asarray(np.linalg.cholesky(correlation(kind)), dtype=np.float64)


def composed(drawn_logs: Numbers) -> Numbers:
    """Logarithms of what an analyser reports from those drawn, both (..., analytes).

    HGB = RBC x MCH / 10, HCT = RBC x MCV / 10, WBC is the sum of its kinds, CHOL = LDL + HDL + TG / 5; direct bilirubin
    is never more than the total, albumin never more than its share of the protein.
    """
    logs = np.array(drawn_logs, dtype=np.float64)

    def of(code: str) -> Numbers:
        return np.asarray(drawn_logs[..., place(code)])

    logs[..., place("HGB")] = of("RBC") + of("MCH") - np.log(10)
    logs[..., place("HCT")] = of("RBC") + of("MCV") - np.log(10)
    logs[..., place("WBC")] = np.logaddexp(np.logaddexp(of("NEUT"), of("LYMPH")), of("WBC"))
    fats = np.logaddexp(of("LDL"), of("HDL"))
    logs[..., place("CHOL")] = np.logaddexp(fats, of("TG") + np.log(SHARE_OF_TRIGLYCERIDES))
    logs[..., place("DBIL")] = np.minimum(of("DBIL"), of("TBIL") + np.log(MOST_DIRECT))
    logs[..., place("ALB")] = np.minimum(of("ALB"), of("TP") + np.log(MOST_ALBUMIN))
    return logs


def dilution(code: str) -> float:
    """How far a specimen that is too high for this test is diluted; 1 is not at all."""
    return float(_file()["dilution"].get(code, 1))


def reported(code: str, value: float, *, dilutes: bool = False) -> Reported:
    """`value` as the analyser prints it: '0.90', '<0.10' below and '>750' above the reportable range.

    With `dilutes`, what is above it is run again diluted where the test allows, and printed as far as that reaches.
    """
    about = analyte(code)
    if value < about.reportable_low:
        return Reported(text=f"<{about.reportable_low:.{about.decimals}f}", value=about.reportable_low, comparator="<")
    times = dilution(code) if dilutes else 1.0
    is_diluted, largest = value > about.reportable_high and times > 1, about.reportable_high * times
    if value > largest:
        text = f">{largest:.{about.decimals}f}"
        return Reported(text=text, value=largest, comparator=">", is_diluted=is_diluted)
    text = f"{round(value * 10**about.decimals) / 10**about.decimals:.{about.decimals}f}"
    return Reported(text=text, value=float(text), is_diluted=is_diluted)


def printed(frame: pl.DataFrame, *, dilutes: pl.Series | None = None) -> pl.DataFrame:
    """Add test_code, unit, value, comparator and value_text as the analyser prints `raw` of analyte number `test`.

    `dilutes`: the rows that are diluted when they are too high, as of `reported`; `is_diluted` says which were.
    """
    about = pl.DataFrame(
        {
            "test": range(len(analytes())),
            "test_code": codes(),
            "unit": [row.unit for row in analytes()],
            "decimals": [row.decimals for row in analytes()],
            "smallest": [row.reportable_low for row in analytes()],
            "limit": [row.reportable_high for row in analytes()],
            "times": [dilution(row.code) for row in analytes()],
        },
        schema_overrides={"test": pl.UInt8, "decimals": pl.Int64, "smallest": pl.Float64, "limit": pl.Float64},
    )
    joined = frame.join(about, on="test", how="left", maintain_order="left")
    can = pl.lit(False) if dilutes is None else pl.lit(dilutes) & (pl.col("times") > 1)
    is_diluted = can & (pl.col("raw") > pl.col("limit"))
    reach = joined.with_columns(is_diluted=is_diluted).with_columns(
        largest=pl.when("is_diluted").then(pl.col("limit") * pl.col("times")).otherwise("limit")
    )
    return reach.with_columns(
        pl.when(pl.col("raw") < pl.col("smallest"))
        .then(pl.lit("<"))
        .when(pl.col("raw") > pl.col("largest"))
        .then(pl.lit(">"))
        .alias("comparator"),
        _scaled().alias("scaled"),
    ).with_columns((pl.col("scaled") / _power()).alias("value"), _text().alias("value_text"))


def _power() -> pl.Expr:
    return pl.lit(10, dtype=pl.Int64).pow(pl.col("decimals"))


def _scaled() -> pl.Expr:
    """The value in units of its last decimal: whole numbers divide back to the exact double of the text."""
    within = pl.col("raw").clip(pl.col("smallest"), pl.col("largest"))
    return (within * _power()).round(0, mode="half_to_even").cast(pl.Int64)


def _text() -> pl.Expr:
    whole, rest = pl.col("scaled") // _power(), (pl.col("scaled") % _power()).cast(pl.String)
    padded = pl.when(pl.col("decimals") == 2).then(rest.str.zfill(2)).otherwise(rest.str.zfill(3))
    decimals = pl.when(pl.col("decimals") == 1).then(rest).otherwise(padded)
    number = pl.when(pl.col("decimals") == 0).then(whole.cast(pl.String)).otherwise(pl.format("{}.{}", whole, decimals))
    return pl.concat_str(pl.col("comparator").fill_null(""), number)
