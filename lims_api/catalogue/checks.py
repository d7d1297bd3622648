"""What is wrong with catalogue lists: the rules of one test, of a list, of panels, and the comparison with the example;
pure. A wrong figure here is a wrong flag on a patient's report."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from functools import cache
from importlib.resources import files

from lims_api.catalogue import entry_rules
from lims_api.catalogue.entry_rules import fold, pairs_of, read_unit
from lims_api.catalogue.files import example_catalogue
from lims_api.catalogue.listing import Entry, Finding, Listing, PanelEntry, Severity, listing_of, number
from lims_api.catalogue.reference_intervals import Pregnancy

WARNINGS = frozenset(
    {"ages-gap", "critical-not-reportable", "far-from-known", "interval-copied", "loinc-missing", "no-interval",
     "result-undefined", "sexes-swapped", "spelled-two-ways"}
)  # fmt: skip
"""What a person looks at; every other rule is an error, and nothing is imported from a file that has one."""
COPIES = 4
FAR = 5


def check(listings: Sequence[Listing], *, known_codes: Collection[str] = ()) -> list[Finding]:
    """Everything that is found, file by file; `known_codes` are tests that stand elsewhere, e.g. in the database."""
    offered = {
        *known_codes,
        *(name for each in listings for entry in each.entries for name in (entry.code, entry.name)),
    }
    found = [finding for each in listings for finding in _of_one(each, offered)]
    return found + _between_files(listings)


def _of_one(listing: Listing, offered: Collection[str]) -> Iterator[Finding]:
    yield from listing.findings
    for entry in listing.entries:
        for rule in (*entry_rules.RULES, _against_the_example, _sexes_against_the_example):
            yield from (_finding(listing, entry, *found) for found in rule(entry))
    for rule_of_all in (_twice, _copied, _spelled_two_ways, _without_loinc):
        yield from rule_of_all(listing)
    for panel in listing.panels:
        yield from (_finding(listing, panel, *found) for found in _panel(panel, offered))


def _finding(listing: Listing, row: Entry | PanelEntry | str, rule: str, wrong: str, remedy: str) -> Finding:
    severity = Severity.WARNING if rule in WARNINGS else Severity.ERROR
    return Finding(listing.file, row if isinstance(row, str) else row.row, severity, rule, wrong, remedy)


# of all rows


def _twice(listing: Listing) -> Iterator[Finding]:
    rows: list[Entry | PanelEntry] = [*listing.entries, *listing.panels]
    codes = Counter(row.code for row in rows if row.code)
    names = Counter(_identity(entry) for entry in listing.entries)
    for row in rows:
        if codes[row.code] > 1:
            yield _finding(listing, row, "duplicate-code", f"{row.code} stands {codes[row.code]} times", "Keep one.")
    for entry in listing.entries:
        if names[_identity(entry)] > 1:
            wrong = f"'{entry.name}' names {names[_identity(entry)]} tests of one specimen"
            yield _finding(listing, entry, "duplicate-name", wrong, "Name them apart, e.g. by specimen, or keep one.")


def _identity(entry: Entry) -> tuple[str, str, str | None]:
    """Two substances may share a name in a list that goes by LOINC."""
    return fold(entry.name), fold(entry.specimen), entry.loinc


def _copied(listing: Listing) -> Iterator[Finding]:
    used: dict[tuple[str, str, str], list[Entry]] = {}
    for entry in listing.entries:
        for low, high in sorted(pairs_of(entry.limits)):
            used.setdefault((low, high, entry.unit), []).append(entry)
    for (low, high, _), entries in used.items():
        if len(entries) >= COPIES:
            for entry in entries:
                wrong = f"{low} to {high} stands at {len(entries)} tests"
                yield _finding(
                    listing, entry, "interval-copied", wrong, "Look whether it was copied from the row above."
                )


def _spelled_two_ways(listing: Listing) -> Iterator[Finding]:
    spellings: dict[str, Counter[str]] = {}
    for entry in listing.entries:
        spellings.setdefault(fold(entry.specimen), Counter())[entry.specimen] += 1
    for entry in listing.entries:
        usual, _ = spellings[fold(entry.specimen)].most_common(1)[0]
        if entry.specimen != usual:
            wrong = f"specimen '{entry.specimen}', elsewhere '{usual}'"
            yield _finding(listing, entry, "spelled-two-ways", wrong, "Write it in one way, or two tubes are drawn.")


def _without_loinc(listing: Listing) -> Iterator[Finding]:
    missing = [entry for entry in listing.entries if not entry.loinc]
    if missing and len(missing) == len(listing.entries):
        yield _finding(listing, "", "loinc-missing", "no test has a LOINC code", "Add a column of them.")
    else:
        for entry in missing:
            yield _finding(listing, entry, "loinc-missing", "no LOINC code", "Look it up.")


def _between_files(listings: Sequence[Listing]) -> list[Finding]:
    where: dict[str, str] = {}
    found = []
    for listing in listings:
        rows: list[Entry | PanelEntry] = [*listing.entries, *listing.panels]
        for code in dict.fromkeys(row.code for row in rows if row.code):
            first = where.setdefault(code, listing.file)
            if first != listing.file:
                found.append(_finding(listing, code, "duplicate-code", f"{code} stands in {first} too", "Keep one."))
    return found


def _panel(panel: PanelEntry, offered: Collection[str]) -> Iterator[tuple[str, str, str]]:
    if fold(panel.name) in entry_rules.NOT_A_TEST:
        yield "placeholder", f"'{panel.name}' names no panel", "Take the row out, or name the panel."
    if not panel.tests:
        yield "empty-panel", "no test", "Name its tests, or take the panel out."
    for test, times in Counter(panel.tests).items():
        if test not in offered:
            yield "unknown-test", f"names {test}, which is no test", "Correct the code, or add the test."
        if times > 1:
            yield "duplicate-code", f"names {test} {times} times", "Name it once."
    if panel.code and panel.code in offered:
        yield "duplicate-code", f"{panel.code} is a test too", "Give the panel a code of its own."


# against the example


def _against_the_example(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """A unit of another kind, or limits so far away that a unit or a decimal point must be wrong."""
    example = known(entry)
    unit, own = read_unit(entry.unit), read_unit(example.unit) if example else None
    if example is None or unit is None or own is None or not entry.is_numeric:
        return
    if not unit.is_like(own):
        wrong = f"{entry.unit} measures another thing than {example.unit} of {example.code}"
        yield "unit-of-another-kind", wrong, "Find out what is measured, and in what."
    elif unit.kinds == own.kinds and (highs := _highs(example)):
        for limits in entry.limits:
            high = float((number(limits.high) or 0) * unit.factor / own.factor)
            if high and not min(highs) / FAR <= high <= max(highs) * FAR:
                wrong = f"up to {limits.high} {entry.unit}; {example.code} has up to {max(highs):g} {example.unit}"
                yield "far-from-known", wrong, "Look for a wrong unit, a lost digit, or a row of another test."
                break


def _sexes_against_the_example(entry: Entry) -> Iterator[tuple[str, str, str]]:
    """Men's limits where the example has women's: both ends differ the other way round."""
    example = known(entry)
    ours, theirs = _men_less_women(entry), _men_less_women(example) if example else []
    signs = [(one > 0, other > 0) for one, other in zip(ours, theirs, strict=False) if one and other]
    if example and signs and all(one != other for one, other in signs):
        wrong = f"men and women differ the other way round than at {example.code}"
        yield "sexes-swapped", wrong, "Look whether the two rows changed places."


def _men_less_women(entry: Entry) -> list[Decimal | int]:
    """The differences of the oldest men's and women's low and high limits; 0 where one is not stated."""
    oldest = {
        limits.sex: limits
        for limits in sorted(entry.limits, key=lambda each: each.age_from_days)
        if limits.pregnancy in (Pregnancy.ANY, Pregnancy.NOT_PREGNANT)
    }
    if not {"male", "female"} <= set(oldest):
        return []
    pairs = [(getattr(oldest["male"], end), getattr(oldest["female"], end)) for end in ("low", "high")]
    return [
        one - other if (one := number(man)) is not None and (other := number(woman)) is not None else 0
        for man, woman in pairs
    ]


def known(entry: Entry) -> Entry | None:
    """The example catalogue's test of this code or LOINC code, or, of a row that has neither, of this name."""
    by_code, by_loinc, by_name = _examples()
    named = None if entry.code or entry.loinc else by_name.get(fold(entry.name))
    return by_code.get(entry.code) or by_loinc.get(entry.loinc or "") or named


@cache
def _examples() -> tuple[dict[str, Entry], dict[str, Entry], dict[str, Entry]]:
    entries = listing_of("", example_catalogue()).entries
    by_code = {entry.code: entry for entry in entries}
    texts = (files("lims_api.catalogue") / "known_names.toml").read_text("utf-8")
    names = {fold(name): entry for entry in entries for name in (entry.code, entry.name)}
    names |= {name: by_code[code] for name, code in tomllib.loads(texts).items()}
    return by_code, {entry.loinc or "": entry for entry in entries}, names


def _highs(entry: Entry) -> list[float]:
    return [float(value) for each in entry.limits if (value := number(each.high))]
