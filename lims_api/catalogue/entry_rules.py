"""What can be wrong with one test of a list, seen alone; pure. Each yields (rule, what is wrong, what to do)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

from lims_api.catalogue.listing import Entry, Limits, number
from lims_api.catalogue.loinc import check_digit, is_loinc
from lims_api.catalogue.reference_intervals import Pregnancy, overlapping
from lims_api.catalogue.ucum import NotUcum, Unit, parse

Found = Iterator[tuple[str, str, str]]
MOST_PERCENT = 100
FAR_ABOVE_PERCENT = 1000
NINES = re.compile(r"9{3,}(\.9+)?")
PLACEHOLDER = Decimal(10) ** 9
NOT_A_TEST = frozenset({"test", "tests", "dummy", "example", "other", "others", "tbd", "todo", "xxx", "none", "na"})
GROUPS = re.compile(
    r"\b(men|man|males?|wom[ae]n|females?|boys?|girls?|child(?:ren)?|infants?|adults?|newborns?|neonates?"
    r"|pregnan\w*|\w*puberty|\w*menopaus\w*|trimester)\b",
    re.IGNORECASE,
)
RANGE = re.compile(r"\d\s*-\s*\d|[<>]\s*\d|\bupto\b|\bup to\b", re.IGNORECASE)
UNIT_IN_PROSE = re.compile(r"\d\s*([A-Za-z%\N{MICRO SIGN}][\w%/.]*)")
USUAL = {
    "gm%": "g/dL", "gm/dl": "g/dL", "mcg/dl": "ug/dL", "mcg/ml": "ug/mL", "cell/cumm": "/uL", "cells/cumm": "/uL",
    "/cumm": "/uL", "million/cumm": "10*6/uL", "lakhs/cumm": "10*5/uL", "million/mm3": "10*6/uL",
    "mille/mm3": "10*3/uL", "mm/hr": "mm/h", "sec": "s", "seconds": "s", "iu/l": "[IU]/L (enzymes: U/L)",
    "ui/l": "U/L", "ul/l": "U/L", "iu/ml": "[IU]/mL", "miu/l": "m[IU]/L", "miu/ml": "m[IU]/mL", "meq/l": "meq/L",
    "fl": "fL", "mg/24hr": "mg/(24.h)", "mg/24h": "mg/(24.h)", "meq/day": "meq/d", "g/l": "g/L", "kat/l": "kat/L",
    "ukat/l": "ukat/L", "copies/ml": "{copies}/mL", "10^3/ul": "10*3/uL", "10^6/ul": "10*6/uL", "cell/ul": "{cells}/uL",
    "u/g hb": "U/g{Hb}", "u/g of hb": "U/g{Hb}", "deg. c": "Cel", "ug/24 h": "ug/(24.h)", "mg/24 h": "mg/(24.h)",
    "g/24 h": "g/(24.h)", "mosm/kg h2o": "mosm/kg", "% of total hb": "%", "% total hb": "%", "fraction of 1.0": "1",
    "nmol/day": "nmol/d", "umol/day": "umol/d", "mmol/day": "mmol/d",
}  # fmt: skip
"""Spellings that laboratories use, and what UCUM says for them."""


def usual_unit(text: str) -> str:
    """UCUM for a spelling that is known, else the empty text."""
    plain = text.strip().casefold().replace("\N{MICRO SIGN}", "u").replace("\N{GREEK SMALL LETTER MU}", "u")
    return USUAL.get(plain, "")


def read_unit(text: str) -> Unit | None:
    """The unit that is meant, also by a spelling that is known; None when it cannot be told."""
    for candidate in (text, usual_unit(text).split(" ")[0]):
        try:
            if candidate:
                return parse(candidate)
        except NotUcum:
            continue
    return None


def names(entry: Entry) -> Found:
    """A row that is no test."""
    if _plain(entry.name) in NOT_A_TEST:
        yield "placeholder", f"'{entry.name}' names no test", "Take the row out, or name the test."
    for text in (entry.reportable_low, entry.reportable_high):
        value = number(text)
        if value is not None and (value >= PLACEHOLDER or NINES.fullmatch(text)):
            yield "placeholder", f"{text} is no limit of a method", "State what the method can measure, or nothing."


def codes(entry: Entry) -> Found:
    """LOINC's check digit."""
    if entry.loinc and not is_loinc(entry.loinc):
        stem = entry.loinc.split("-")[0]
        right = f" {stem} would end in -{check_digit(stem)}." if re.fullmatch(r"[0-9]{1,7}", stem) else ""
        yield (
            "loinc-check-digit",
            f"{entry.loinc} is no LOINC code.{right}",
            "Look the code up; do not just mend the digit.",
        )


def units(entry: Entry) -> Found:
    """Units in UCUM, and there at all for a number."""
    for text in filter(None, (entry.unit, entry.other_unit)):
        try:
            parse(text)
        except NotUcum as part:
            meant = usual_unit(text)
            yield (
                "unit-not-ucum",
                f"'{text}' is no UCUM unit: {part}",
                f"Write {meant}." if meant else "Write it in UCUM.",
            )
    if entry.is_numeric and not entry.unit:
        yield "unit-missing", "a number without a unit", "State the unit; 1 or {ratio} for a plain number."
    if entry.is_numeric is None and not entry.values:
        yield (
            "result-undefined",
            "neither a unit, limits nor values",
            "State a unit, or the values that a result may have.",
        )
    elif entry.is_numeric is False and len(entry.values) == 1:
        yield "result-undefined", "one value only", "State every value that a result may have."


def numbers(entry: Entry) -> Found:
    """Each stated limit is a number, low below high, and a percentage."""
    for limits in entry.limits:
        pairs = [("", limits.low, limits.high), ("critical ", limits.critical_low, limits.critical_high)]
        for word, low, high in pairs:
            yield from _pair(f"{word}limits{_of(limits)}", low, high)
        if entry.unit == "%" and (number(limits.low) or 0) > MOST_PERCENT:
            yield "percent-above-100", f"{limits.low} to {limits.high} %", "These are counts, or the unit is not %."
    yield from _pair("reportable limits", entry.reportable_low, entry.reportable_high)
    if entry.unit == "%" and (number(entry.reportable_high) or 0) >= FAR_ABOVE_PERCENT:
        yield "percent-above-100", f"reportable up to {entry.reportable_high} %", "State what the method can measure."


def _pair(what: str, low: str, high: str) -> Found:
    for text in filter(None, (low, high)):
        if number(text) is None:
            yield "not-a-number", f"{what}: '{text}'", "Write a number with a decimal point."
    first, last = number(low), number(high)
    if first is not None and last is not None and first > last:
        yield "limits-swapped", f"{what}: {low} to {high}", "Swap them, or correct the one that is wrong."
    if first is not None and first == last:
        yield (
            "limits-equal",
            f"{what}: {low} to {high}",
            "An interval of one point holds every other value; correct it.",
        )


def nesting(entry: Entry) -> Found:
    """Critical limits lie outside the reference interval, and inside what the method can report."""
    reportable_low, reportable_high = number(entry.reportable_low), number(entry.reportable_high)
    for limits in entry.limits:
        low, high = number(limits.low), number(limits.high)
        critical_low, critical_high = number(limits.critical_low), number(limits.critical_high)
        if _less(low, critical_low) or _less(critical_high, high):
            wrong = f"critical limits inside the reference interval{_of(limits)}"
            yield "critical-inside-reference", wrong, "A normal value would be called critical; correct one of them."
        if _less(low, reportable_low) or _less(reportable_high, high):
            wrong = f"the reference interval{_of(limits)} reaches beyond what can be reported"
            yield "reportable-narrower", wrong, "Widen the reportable range, or correct the interval."
        if _less(critical_low, reportable_low) or _less(reportable_high, critical_high):
            wrong = f"a critical limit{_of(limits)} lies beyond what can be reported"
            yield "critical-not-reportable", wrong, "No result can reach it as a number; correct one of them."


def _less(one: Decimal | None, other: Decimal | None) -> bool:
    return one is not None and other is not None and one < other


def people(entry: Entry) -> Found:
    """Every age of a sex has one interval, from where the first begins."""
    by_group: dict[str, list[Limits]] = {}
    for limits in entry.limits:
        by_group.setdefault(limits.group, []).append(limits)
        if limits.sex not in ("any", "male", "female"):
            yield "not-a-number", f"sex '{limits.sex}'", "Write male, female or any."
        if limits.age_from_days >= limits.age_to_days:
            yield "limits-swapped", f"ages {limits.age_from_days} to {limits.age_to_days} days", "Swap them."
    for same in by_group.values():
        if overlapping(same):
            yield "ages-overlap", "two intervals claim one age of a sex", "Let one end on the day the next begins."
        yield from _gaps(same)


def _gaps(bands: list[Limits]) -> Found:
    usual = [band for band in bands if band.pregnancy in (Pregnancy.ANY, Pregnancy.NOT_PREGNANT)]
    begins = min((band.age_from_days for band in usual), default=0)
    for sex in ("male", "female"):
        spans = sorted((band.age_from_days, band.age_to_days) for band in usual if band.sex in (sex, "any"))
        if not spans:
            continue
        reached = begins
        for start, end in [*spans, (max(band.age_to_days for band in usual),) * 2]:
            if start > reached:
                wrong = f"no interval for {sex}s from {reached} to {start} days"
                yield "ages-gap", wrong, "Their results are held. State an interval, or leave it so on purpose."
            reached = max(reached, end)


def prose(entry: Entry) -> Found:
    """What the interval says in words and in columns is the same."""
    ranges, groups = len(RANGE.findall(entry.prose)), len(GROUPS.findall(entry.prose))
    if ranges and not entry.limits:
        yield (
            "limits-missing",
            f"the words say '{entry.prose}', the columns nothing",
            "Enter them as limits, one line a group.",
        )
    elif ranges > 1 and groups > 1 and len(entry.limits) == 1:
        wrong = f"'{entry.prose}' became one interval for everybody"
        yield "groups-merged", wrong, "Enter one line for each sex, age or state."
    said = [token for token in UNIT_IN_PROSE.findall(entry.prose) if "/" in token or "%" in token]
    if entry.unit and said and not any(_same_unit(entry.unit, token) for token in said):
        yield (
            "unit-differs-from-text",
            f"unit {entry.unit}, but the words say {said[0]}",
            "Find out which one is right.",
        )


def _same_unit(unit: str, said: str) -> bool:
    one, other = (text.casefold().replace("cells/", "cell/") for text in (unit, said))
    return one.startswith(other) or other.startswith(one)


def conversions(entry: Entry) -> Found:
    """A factor between two units is UCUM's, or that of a substance that can exist."""
    stated = number(entry.conversion)
    source, target = read_unit(entry.unit), read_unit(entry.other_unit)
    if stated is None or source is None or target is None:
        return
    if source.kinds == target.kinds:
        right = source.factor / target.factor
        if not Decimal("0.95") <= stated / right <= Decimal("1.05"):
            wrong = f"{entry.unit} to {entry.other_unit} by {stated}: it is {right.normalize():f}"
            yield "conversion-wrong", wrong, "Correct the factor or a unit."
    elif source.kinds.get("g") == 1 and target.kinds.get("mol") == 1 and stated > 0:
        grams_a_mole = source.factor / target.factor / stated
        if not 1 <= grams_a_mole <= 10**7:
            wrong = f"{entry.unit} to {entry.other_unit} by {stated} means {grams_a_mole:.2g} g/mol"
            yield "conversion-wrong", wrong, "No substance has that; correct the factor or a unit."


def delta_and_review(entry: Entry) -> Found:
    """A limit of change has its window, an approval its day."""
    if (entry.delta[0] is None) != (entry.delta[1] is None):
        yield "delta-incomplete", "a delta limit without its window, or the reverse", "State both or neither."
    if bool(entry.review[0]) != bool(entry.review[1]):
        yield "approval-incomplete", "approved by nobody, or on no day", "State both or neither."


def without_interval(entry: Entry) -> Found:
    """A number that is judged against nothing."""
    if entry.has_limits and entry.is_numeric and not entry.limits and not RANGE.search(entry.prose):
        yield (
            "no-interval",
            "a number without any reference interval",
            "Its results are held. State one, or leave it so.",
        )


def pairs_of(limits: tuple[Limits, ...]) -> set[tuple[str, str]]:
    """The intervals with both ends that are stated."""
    return {(each.low, each.high) for each in limits if each.low and each.high}


def _of(limits: Limits) -> str:
    words = [limits.group, limits.sex if limits.sex != "any" else ""]
    words += [limits.pregnancy.replace("_", " ") if limits.pregnancy != Pregnancy.ANY else ""]
    text = ", ".join(word for word in words if word)
    return f" ({text})" if text else ""


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", fold(name))


def fold(text: str) -> str:
    """Without accents, case, spaces and punctuation; % and # stay, for they tell a share from a count."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each))
    plain = plain.replace("\N{LATIN CAPITAL LETTER T WITH HOOK}", "t").casefold()
    return re.sub(r"[^a-z0-9%#]", "", plain)


RULES = (names, codes, units, numbers, nesting, people, prose, conversions, delta_and_review, without_interval)
"""Every rule of one test."""
