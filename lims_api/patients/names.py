"""By what a patient's name is found, and when two names are the same person's. Pure."""

import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from lims_api.patients.spelling import likeness, normal, skeleton, strict, words

PREFIXES = (3, 4, 5)
SHORTEST = PREFIXES[0]
LIKE = 0.80
"""Jaro-Winkler of normal forms above which a candidate is shown (core_spike.md §4: recall .945, precision .980)."""
MOST_WORDS = 8

# What is indexed and what is asked for


class Token(NamedTuple):
    """What becomes a blind token: `kind` is hashed with the text, so that kinds never meet."""

    kind: str
    text: str


def tokens_of(name: str) -> frozenset[Token]:
    """Everything a name is found by: of each word the prefixes of 3, 4 and 5 letters of its spelling and normal form
    and its whole skeleton; of each two words one pair of prefixes. About fifteen for a name of two words."""
    parts = words(name)[:MOST_WORDS]
    single = (token for word in parts for token in (*_prefixes(word), *_skeleton(word)))
    return frozenset((*single, *_pairs(parts)))


@dataclass(frozen=True)
class Query:
    """What a person typed, as tokens: any of each word's, for every word; `pairs` say the same in fewer rows."""

    parts: tuple[str, ...]
    of_words: tuple[frozenset[Token], ...]
    pairs: frozenset[Token]


def query_of(typed: str) -> Query:
    """The tokens to look for. A title is left out beside other words, and is a word of its own when it stands alone.

    A word under three letters is looked for in what was found, not looked up; without a longer one `of_words` is
    empty, and nothing can be found by it.
    """
    parts = words(typed)[:MOST_WORDS]
    parts = [part for part in parts if part not in _TITLES] or parts
    long = [part for part in parts if len(part) >= SHORTEST]
    of_words = tuple(frozenset((*_longest(part), *_skeleton(part))) for part in long)
    return Query(tuple(parts), of_words, frozenset(_pairs(long)))


def score(query: Query, name: str) -> float | None:
    """How well a name answers a query, 0 to 1; None when a word of three letters or more has no answer in it."""
    parts = words(name)
    scores = [max((_word_score(wanted, part) for part in parts), default=0.0) for wanted in query.parts]
    if any(found == 0 and len(wanted) >= SHORTEST for wanted, found in zip(query.parts, scores, strict=True)):
        return None
    return sum(scores) / len(scores) if scores else None


def _prefixes(word: str) -> Iterable[Token]:
    return (Token("prefix", form[:n]) for form in (word, normal(word)) for n in PREFIXES if len(form) >= n)


def _longest(word: str) -> Iterable[Token]:
    """The longest indexed prefix of what was typed, in both forms."""
    forms = (word, normal(word))
    return (Token("prefix", form[: PREFIXES[-1]]) for form in forms if len(form) >= SHORTEST)


def _skeleton(word: str) -> Iterable[Token]:
    bones = skeleton(word)
    return (Token("skeleton", bones),) if len(bones) > 1 else ()


def _pairs(parts: Iterable[str]) -> Iterable[Token]:
    starts = [normal(part)[:SHORTEST] for part in parts if len(part) > 1]
    return (Token("pair", " ".join(sorted(pair))) for pair in combinations(starts, 2))


def _word_score(wanted: str, part: str) -> float:
    if part == wanted:
        return 1.0
    if normal(part) == normal(wanted):
        return 0.97
    if part.startswith(wanted):
        return 0.95
    if len(wanted) >= SHORTEST and normal(part).startswith(normal(wanted)):
        return 0.92
    alike = likeness(normal(part), normal(wanted)) if len(wanted) >= SHORTEST else 0.0
    return alike * 0.9 if alike >= LIKE else 0.0


# Whether two names are one person's


def _set(these: str) -> frozenset[str]:
    return frozenset(these.split())


_MALE = _set("mr shri shree sri master mst shriman")
_FEMALE = _set("mrs ms miss smt shrimati srimati")
_ALWAYS_TITLES = _set("mr mrs ms miss smt shrimati srimati dr prof master mst shriman")
_TITLES = _ALWAYS_TITLES | _set("shri shree sri")
_GENERIC = frozenset(
    map(strict, _set("kumar kumari singh kaur devi khan mohammad begum bai bibi lal ram prasad rani nath chand"))
)
"""Too common to carry a name that is otherwise initials."""
_FILLERS = frozenset(map(strict, _set("kumar mohammad")))
"""Left out as often as written; their absence on one side says nothing."""
_ORDINALS = _set("ii iii iv jr sr junior senior")
_NEWBORN = _set("baby bebi newborn twin shishu")
_BABY_OF = re.compile(r"\b(?:b\s*/\s*o|(?:new\s*born|baby)\s+of)\b\.?", re.IGNORECASE)
_RELATION = re.compile(r"\b(?:([sdwhc])\s*/\s*o|(son|daughter|wife|husband|care)\s+of)\b\.?", re.IGNORECASE)


@dataclass(frozen=True)
class _Stated:
    """A name taken apart."""

    parts: tuple[str, ...]
    titles: frozenset[str]
    relation: str
    relative: tuple[str, ...]


def names_agree(stated: str, registered: str) -> bool:
    """Whether the name an analyser states is surely the registered one; in doubt it is not, and the result is held.

    Order, case, titles, script and settled variants of spelling make no difference. An initial stands for a word
    beside at least one whole name that is not too common to count. `Kumar` or `Mohammad`, or an initial, may be missing
    on one side beside two whole names. A name after S/o, D/o, W/o must agree if both state one. A newborn under the
    mother's name (B/O) agrees only with exactly the same words: the mother is another patient. Titles of different
    sexes, and different numbers (twin 1, II, Jr), never agree.
    """
    if _newborn(stated) or _newborn(registered):
        return bool(words(stated)) and words(_one_mark(stated)) == words(_one_mark(registered))
    if words(stated) == words(registered):
        return bool(words(stated))
    one, other = _take_apart(stated), _take_apart(registered)
    return not _contradict(one, other) and _parts_agree(one.parts, other.parts)


def _newborn(name: str) -> bool:
    return bool(_BABY_OF.search(name)) or not _NEWBORN.isdisjoint(words(name))


def _one_mark(name: str) -> str:
    return _BABY_OF.sub(" babyof ", name)


def _take_apart(name: str) -> _Stated:
    found = _RELATION.search(name)
    own, relative = (name[: found.start()], name[found.end() :]) if found else (name, "")
    relation = (found[1] or found[2][:1]).lower() if found else ""
    parts, titles = _without_titles(words(own))
    return _Stated(parts, titles, relation, _without_titles(words(relative))[0])


def _without_titles(parts: list[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """Mr is never a name; Shri may be one, and is dropped beside two others."""
    titles = frozenset(part for part in parts if part in _ALWAYS_TITLES)
    rest = [part for part in parts if part not in titles]
    names = [part for part in rest if part not in _TITLES]
    if len([part for part in names if len(part) > 1]) >= 2:
        titles |= frozenset(rest) - frozenset(names)
        rest = names
    return tuple(rest), titles


def _contradict(one: _Stated, other: _Stated) -> bool:
    return (
        _relatives_differ(one, other)
        or _sexes_differ(one.titles, other.titles)
        or _numbers(one.parts) != _numbers(other.parts)
    )


def _relatives_differ(one: _Stated, other: _Stated) -> bool:
    """Only where both state one: the name of a father or husband is left out as often as written."""
    if not one.relation or not other.relation:
        return False
    return one.relation != other.relation or not _parts_agree(one.relative, other.relative)


def _sexes_differ(one: Collection[str], other: Collection[str]) -> bool:
    sexes = [frozenset(sex for sex in (_MALE, _FEMALE) if not sex.isdisjoint(titles)) for titles in (one, other)]
    return bool(sexes[0]) and bool(sexes[1]) and sexes[0].isdisjoint(sexes[1])


def _numbers(parts: Iterable[str]) -> Counter[str]:
    return Counter(part for part in parts if part in _ORDINALS or any(c.isdigit() for c in part))


def _parts_agree(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return False
    if len(one) != len(other) and "".join(map(_key, one)) == "".join(map(_key, other)):
        return True  # Rama Krishna, Ramakrishna; K S Rao, KS Rao
    initials = [[part for part in parts if len(part) == 1] for parts in (one, other)]
    if min(map(len, initials)) > 1 and initials[0] != initials[1]:
        return False
    left, right = sorted(one), sorted(other)
    shared = [part for part in _take_equal(left, right) if len(part) > 1]
    by_initial = _take_initials(left, right) + _take_initials(right, left)
    if by_initial and not any(len(part) >= SHORTEST and _key(part) not in _GENERIC for part in shared):
        return False
    return bool(shared) and _may_be_missing(left, right, len(shared))


def _key(part: str) -> str:
    """An initial is compared as it is written: C stands for Chandra, not for Kavita."""
    return part if len(part) == 1 else strict(part)


def _take_equal(left: list[str], right: list[str]) -> list[str]:
    """Take what both have out of both."""
    shared = []
    for part in tuple(left):
        match = next((candidate for candidate in right if _key(candidate) == _key(part)), None)
        if match is not None:
            left.remove(part)
            right.remove(match)
            shared.append(part)
    return shared


def _take_initials(left: list[str], right: list[str]) -> int:
    """Take every initial out of `left` with a word of `right` that it can stand for; returns how many there were."""
    taken = 0
    for initial in [part for part in left if len(part) == 1]:
        meant = [part for part in right if part.startswith(initial)]
        if meant:
            left.remove(initial)
            right.remove(min(meant, key=lambda part: (_key(part) in _FILLERS, part)))
            taken += 1
    return taken


def _may_be_missing(left: list[str], right: list[str], shared: int) -> bool:
    """Whether what only one side has says nothing against it."""
    if not left and not right:
        return True
    says_nothing = all(len(part) == 1 or _key(part) in _FILLERS for part in (*left, *right))
    return says_nothing and shared >= 2 and not (left and right)
