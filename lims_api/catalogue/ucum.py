"""Units of the Unified Code for Units of Measure as laboratories use them: read, compared, converted; pure.

The grammar is UCUM's (case-sensitive); the atoms and prefixes are those that a clinical laboratory reports in, so that
`EU/mL` is a mistake here and not an exa-unit. Arbitrary units, equivalents and enzyme units are kinds of their own:
what they mean in mole depends on the substance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal

_PREFIXES = {
    "M": Decimal("1e6"), "k": Decimal("1e3"), "d": Decimal("1e-1"), "c": Decimal("1e-2"), "m": Decimal("1e-3"),
    "u": Decimal("1e-6"), "n": Decimal("1e-9"), "p": Decimal("1e-12"), "f": Decimal("1e-15"),
}  # fmt: skip
_METRIC: dict[str, tuple[str, dict[str, int]]] = {
    "m": ("1", {"m": 1}), "s": ("1", {"s": 1}), "g": ("1", {"g": 1}), "mol": ("1", {"mol": 1}),
    "L": ("1e-3", {"m": 3}), "l": ("1e-3", {"m": 3}), "U": ("1", {"U": 1}), "kat": ("6e7", {"U": 1}),
    "eq": ("1", {"eq": 1}), "osm": ("1", {"osm": 1}), "[iU]": ("1", {"[iU]": 1}), "[IU]": ("1", {"[iU]": 1}),
    "S": ("1", {"S": 1}), "m[Hg]": ("1", {"[Hg]": 1}), "Cel": ("1", {"Cel": 1}), "Pa": ("1", {"Pa": 1}),
}  # fmt: skip
_PLAIN: dict[str, tuple[str, dict[str, int]]] = {
    "%": ("1e-2", {}), "[ppm]": ("1e-6", {}), "10*": ("10", {}), "10^": ("10", {}), "[pH]": ("1", {"[pH]": 1}),
    "min": ("60", {"s": 1}), "h": ("3600", {"s": 1}), "d": ("86400", {"s": 1}), "wk": ("604800", {"s": 1}),
    "mo": ("2629800", {"s": 1}), "a": ("31557600", {"s": 1}), "[HPF]": ("1", {"[HPF]": 1}),
    "[LPF]": ("1", {"[LPF]": 1}), "[CFU]": ("1", {"[CFU]": 1}), "[arb'U]": ("1", {"[arb'U]": 1}),
    "[GPL'U]": ("1", {"[GPL'U]": 1}), "[MPL'U]": ("1", {"[MPL'U]": 1}), "[anti'Xa'U]": ("1", {"[anti'Xa'U]": 1}),
}  # fmt: skip
_TOKEN = re.compile(
    r"\{[!-z|~]*\}|[./()]|(?:10[*^]|[A-Za-z%]*(?:\[[!-Z\\^-z|~]+\])?[A-Za-z%]*)(?:[+-]?\d{1,2})?|\d+", re.ASCII
)
_AMOUNTS = frozenset({"g", "mol", "U", "eq", "osm", "[iU]", "[arb'U]", "[CFU]"})


class NotUcum(ValueError):
    """The text is no unit of UCUM that laboratories use; says which part."""


@dataclass(frozen=True)
class Unit:
    """How many of its base units it is, and of which kinds."""

    factor: Decimal = Decimal(1)
    kinds: dict[str, int] = field(default_factory=dict)

    def times(self, other: Unit, sign: int) -> Unit:
        """The product (`sign` 1) or quotient (-1)."""
        names = {*self.kinds, *other.kinds}
        kinds = {name: self.kinds.get(name, 0) + sign * other.kinds.get(name, 0) for name in names}
        return Unit(self.factor * other.factor**sign, {name: power for name, power in kinds.items() if power})

    def power(self, exponent: int) -> Unit:
        """The unit multiplied by itself."""
        return Unit(self.factor**exponent, {name: power * exponent for name, power in self.kinds.items()})

    def is_like(self, other: Unit) -> bool:
        """Whether both measure the same, be it as mass, as substance or in arbitrary units."""
        return _loosely(self.kinds) == _loosely(other.kinds)


def parse(text: str) -> Unit:
    """Read a unit, or `NotUcum`. `{…}` is an annotation without meaning; '1' and '' are the unit one."""
    tokens, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None or not found[0]:
            raise NotUcum(f"'{text[position:]}' in '{text}'")
        tokens.append(found[0])
        position = found.end()
    unit, rest = _term(tokens, text)
    if rest:
        raise NotUcum(f"'{''.join(rest)}' in '{text}'")
    return unit


def factor(source: str, target: str) -> Decimal | None:
    """By what a value in `source` is multiplied to be one in `target`; None when they measure different things."""
    one, other = parse(source), parse(target)
    return one.factor / other.factor if one.kinds == other.kinds else None


def _term(tokens: list[str], text: str) -> tuple[Unit, list[str]]:
    unit, sign = Unit(), 1
    if not tokens:
        return unit, tokens
    if tokens[0] == "/":
        sign, tokens = -1, tokens[1:]
    while True:
        component, tokens = _component(tokens, text)
        unit = unit.times(component, sign)
        if not tokens or tokens[0] not in "./":
            return unit, tokens
        sign, tokens = (1 if tokens[0] == "." else -1), tokens[1:]


def _component(tokens: list[str], text: str) -> tuple[Unit, list[str]]:
    if not tokens or tokens[0] in "./)":
        raise NotUcum(f"'{text}' ends where a unit must follow" if not tokens else f"'{tokens[0]}' in '{text}'")
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        unit, rest = _term(rest, text)
        if not rest or rest[0] != ")":
            raise NotUcum(f"a bracket of '{text}' is not closed")
        return unit, _without_annotation(rest[1:])
    if head.startswith("{"):
        return Unit(), rest
    return _simple(head, text), _without_annotation(rest)


def _without_annotation(tokens: list[str]) -> list[str]:
    return tokens[1:] if tokens and tokens[0].startswith("{") else tokens


def _simple(token: str, text: str) -> Unit:
    if token.isdigit():
        return Unit(Decimal(token)) if int(token) else _refuse(token, text)
    found = re.fullmatch(r"(10[*^]|.*?)([+-]?\d+)?", token, re.ASCII)
    name, exponent = (found[1], int(found[2] or 1)) if found else (token, 1)
    if name in _METRIC or name in _PLAIN:
        return _atom(name).power(exponent)
    if name[:1] in _PREFIXES and name[1:] in _METRIC:
        atom = _atom(name[1:])
        return Unit(atom.factor * _PREFIXES[name[0]], atom.kinds).power(exponent)
    return _refuse(name, text)


def _atom(name: str) -> Unit:
    size, kinds = _METRIC.get(name) or _PLAIN[name]
    return Unit(Decimal(size), kinds)


def _refuse(part: str, text: str) -> Unit:
    raise NotUcum(f"'{part}' in '{text}'")


def _loosely(kinds: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, power in kinds.items():
        kind = "amount" if name in _AMOUNTS else name
        found[kind] = found.get(kind, 0) + power
    return {name: power for name, power in found.items() if power}
