"""Westgard's rules 1-3s, 2-2s and R-4s, with 1-2s as a warning; pure.

z = (x - mean) / SD of that level, lot and analyser. A run is one QC event; R-4s looks within one run only, in its
original form: one control beyond +2 SD and another beyond -2 SD (not a range over 4 SD, which rejects 4.6 times as
many good runs). 2-2s looks across the levels of one run and within one level over two consecutive runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Rule(StrEnum):
    R_1_2S = "1-2s"
    R_1_3S = "1-3s"
    R_2_2S = "2-2s"
    R_R_4S = "R-4s"


REJECTING = frozenset({Rule.R_1_3S, Rule.R_2_2S, Rule.R_R_4S})

Run = Mapping[int, float]
"""z by level (1 to 3)."""


@dataclass(frozen=True, order=True)
class Violation:
    """A rule that fired, and where: across the levels of the run, or within one level over runs."""

    rule: Rule
    scope: str


def violations(run: Run, earlier: Sequence[Run] = ()) -> list[Violation]:
    """Which rules the newest run breaks; `earlier` runs newest first, of the same lot and unreset."""
    found = set()
    if any(abs(z) > 3 for z in run.values()):
        found.add(Violation(Rule.R_1_3S, "run"))
    if any(abs(z) > 2 for z in run.values()):
        found.add(Violation(Rule.R_1_2S, "run"))
    above, below = [z for z in run.values() if z > 2], [z for z in run.values() if z < -2]
    if len(above) >= 2 or len(below) >= 2:
        found.add(Violation(Rule.R_2_2S, "levels"))
    if above and below:
        found.add(Violation(Rule.R_R_4S, "run"))
    for level, z in run.items():
        previous = next((other[level] for other in earlier if level in other), None)
        if previous is not None and (min(z, previous) > 2 or max(z, previous) < -2):
            found.add(Violation(Rule.R_2_2S, f"level {level}"))
    return sorted(found)


def rejects(found: Sequence[Violation]) -> bool:
    """Whether patient results must be held; 1-2s alone only warns."""
    return any(violation.rule in REJECTING for violation in found)
