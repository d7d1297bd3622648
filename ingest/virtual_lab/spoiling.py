"""Which specimens of a history are spoilt, how, and how far that moves what is reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.virtual_lab import errors
from ingest.virtual_lab.analytes import Numbers, analytes, codes
from ingest.virtual_lab.cohort import Indices
from ingest.virtual_lab.errors import ErrorKind

# Rate per accession, facts, 7 layer 10; of a swap half, as it spoils two.
RATES: dict[ErrorKind, float] = {
    ErrorKind.HAEMOLYSIS: 0.004,
    ErrorKind.IV_FLUID: 0.0008,
    ErrorKind.DELAYED_SEPARATION: 0.002,
    ErrorKind.CLOT: 0.001,
    ErrorKind.EDTA: 0.0006,
    ErrorKind.MANUAL_ENTRY: 0.0005,
    ErrorKind.SHORT_SPECIMEN: 0.001,
    ErrorKind.LIPAEMIA: 0.005,
    ErrorKind.BIOTIN: 0.0002,
}
SWAPS = 0.0015 / 2
IN_SERUM = frozenset({ErrorKind.HAEMOLYSIS, ErrorKind.DELAYED_SEPARATION, ErrorKind.EDTA, ErrorKind.LIPAEMIA})
IN_BLOOD = frozenset({ErrorKind.CLOT})
IMMUNOASSAYS = "IMM-1"
CLEAN = -1
KINDS = tuple(ErrorKind)


@dataclass(frozen=True, kw_only=True, eq=False)
class Tubes:
    """Specimens: the visit, whether serum, and the rows of results that are measured in each."""

    visit: Indices
    is_serum: NDArray[np.bool_]
    first_row: Indices
    rows: Indices


@dataclass(frozen=True, kw_only=True, eq=False)
class Spoilt:
    """A kind for each specimen (place in `KINDS`, -1 clean) and the raw value that each result's analyser sent."""

    kind: Indices
    sent: Numbers


def spoil(
    rng: np.random.Generator, tubes: Tubes, *, test: Indices, clean: Numbers, every: Numbers, neighbour: Indices
) -> Spoilt:
    """Spoil specimens at their rates. `every`: all analytes of each visit; `neighbour`: the specimen booked in next."""
    kind = _kinds(rng, tubes, test)
    partner = _swaps(rng, kind, neighbour)
    sent = np.array(clean)
    for tube in np.nonzero(kind != CLEAN)[0].tolist():
        rows = slice(int(tubes.first_row[tube]), int(tubes.first_row[tube] + tubes.rows[tube]))
        if kind[tube] == KINDS.index(ErrorKind.SWAP):
            sent[rows] = every[tubes.visit[partner[tube]], test[rows]]
        else:
            panel = {
                codes()[number]: value for number, value in zip(test[rows].tolist(), clean[rows].tolist(), strict=True)
            }
            found = errors.INJECTORS[KINDS[kind[tube]]](panel, rng)
            sent[rows] = list((found or panel).values())
    return Spoilt(kind=kind, sent=sent)


def _kinds(rng: np.random.Generator, tubes: Tubes, test: Indices) -> Indices:
    """At most one a specimen, of those that its container can carry."""
    kind = np.full(len(tubes.visit), CLEAN, dtype=np.int64)
    assayed = np.array([one.analyser == IMMUNOASSAYS and one.code != "HBA1C" for one in analytes()])[test]
    in_tube = np.repeat(np.arange(len(tubes.visit)), tubes.rows)
    has_assay = np.bincount(in_tube, weights=assayed, minlength=len(kind)) > 0
    for one, rate in RATES.items():
        able = tubes.is_serum if one in IN_SERUM else ~tubes.is_serum if one in IN_BLOOD else np.ones(len(kind), bool)
        able = has_assay if one is ErrorKind.BIOTIN else able
        kind[(kind == CLEAN) & able & (rng.random(len(kind)) < rate)] = KINDS.index(one)
    return kind


def _swaps(rng: np.random.Generator, kind: Indices, neighbour: Indices) -> Indices:
    """Two tubes of a kind, booked in one after the other, with each other's label. Writes into `kind`."""
    partner = np.arange(len(kind))
    for first in np.nonzero(rng.random(len(kind)) < SWAPS)[0].tolist():
        second = int(neighbour[first])
        if second != first and kind[first] == CLEAN and kind[second] == CLEAN:
            kind[[first, second]] = KINDS.index(ErrorKind.SWAP)
            partner[first], partner[second] = second, first
    return partner


def error_sizes(test: Indices, clean: Numbers, sent: Numbers) -> Numbers:
    """How many allowable errors each reported value is off; 0 is none."""
    limits = [errors.limit(code) for code in codes()]
    share, amount = (np.array([limit[name] for limit in limits])[test] for name in ("share", "amount"))
    return np.asarray(np.abs(sent - clean) / np.maximum(share * np.abs(clean), amount))
