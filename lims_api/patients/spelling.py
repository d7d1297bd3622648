"""One written form for the many spellings of an Indian name, in Latin and Devanagari. Pure.

Four forms of a word, each coarser than the one before it:

`spelling`   lower-case Latin letters, Devanagari transliterated: Lakṣmī, लक्ष्मी → laksmi, lakshmi
`strict`     spellings that are surely the same name: laxmi = lakshmi, shrinivas = sreenivas, kamala = kamla
`normal`     what search compares: aspirates, sh/s, z/j, ph/f, ee/i, ou/au/ow folded
`skeleton`   the first vowel and the consonants: what is left when every vowel may be wrong

Other scripts have no table here; such a word is its own form, found and compared in its own script alone.
"""

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

JOINERS = "\u200c\u200d"
"""Zero-width non-joiner and joiner: they change how a letter looks, not which letter it is."""


def _table(letters: str, latin: str) -> dict[str, str]:
    return dict(zip(letters, latin.split(), strict=True))


_VOWELS = _table("अआइईउऊऋएऐऑओऔऍ", "a a i i u u ri e ai o o au e")
_SIGNS = _table("ािीुूृेैॉोौॅ", "a i i u u ri e ai o o au e")
_CONSONANTS = _table(
    "कखगघङचछजझञटठडढणतथदधनपफबभमयरलळवशषसह",
    "k kh g gh n ch chh j jh n t th d dh n t th d dh n p ph b bh m y r l l v sh sh s h",
)
_WITH_DOT = {"क": "q", "ख": "kh", "ग": "g", "ज": "z", "ड": "d", "ढ": "dh", "फ": "f", "य": "y"}
_DOT, _VIRAMA, _ANUSVARA, _VISARGA = "\u093c", "\u094d", "\u0902\u0901", "\u0903"
_LABIALS = "पफबभम"
_SONORANTS = "यरलवनणम"

_ALIASES = {
    "mohammad": "mohd md mohammed mohamed mohamad mohammad muhammad muhammed mohmmad mohammod mahammad mohamud",
    "chaudhary": "chaudhary chaudhari chaudhuri chaudhury chaudhry choudhary choudhury choudhry chowdhury chowdhary"
    " chowdary chodhari",
    "kumar": "kumar kr",
    "singh": "singh sinh sing",
    "syed": "syed sayed sayyed sayyad saiyad saiyed syeda",
    "sheikh": "sheikh shaikh shaik sheik shekh sekh",
}
_ALIAS_OF = {spelt: name for name, spellings in _ALIASES.items() for spelt in spellings.split()}

_ALWAYS = (
    (r"x", "ks"),
    (r"q|ck|c(?!h)", "k"),
    (r"ph", "f"),
    (r"th", "t"),
    (r"ee|ii", "i"),
    (r"oo|uu", "u"),
    (r"aa", "a"),
    (r"(?:au|ou|ow)(?![aeiou])", "o"),
    (r"a[iy](?![aeiou])", "e"),
    (r"w", "v"),
    (r"iya", "ia"),
    (r"y$", "i"),
    (r"(.)\1+", r"\1"),
)
_FOR_STRICT = ((r"sh(?=[^aeiouy])", "s"),)
_FOR_NORMAL = ((r"chh", "ch"), (r"sh", "s"), (r"([bdgjk])h", r"\1"), (r"z", "j"))
_FOR_SKELETON = ((r"ch", "c"), (r"[wv]", "b"), (r"f", "p"), (r"h$", ""))
_OF_CONSONANTS = ((r"(.)\1+", r"\1"), (r"n(?=[bp])", "m"))


def words(name: str) -> list[str]:
    """The spelling of each word of a name, in order: 'D'Souza, J.R.' → dsouza, j, r."""
    text = unicodedata.normalize("NFC", name).translate(dict.fromkeys(map(ord, JOINERS + "'\u2019`")))
    return [spelt for word in _split(text) if (spelt := spelling(word))]


def _split(text: str) -> Iterable[str]:
    """Runs of letters, marks and digits."""
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text).split()


@lru_cache(maxsize=20_000)
def spelling(word: str) -> str:
    """A word in lower-case Latin letters without accents; in another script, as it is."""
    text = "".join(c for c in unicodedata.normalize("NFC", word) if c not in JOINERS)
    if any("ऀ" <= c <= "ॿ" for c in text):
        text = _latin(text)
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.casefold()) if not _is_accent(c))
    return unicodedata.normalize("NFC", bare)


def _is_accent(character: str) -> bool:
    """A combining mark of European writing; the marks of Indian scripts are vowels and stay."""
    return "\u0300" <= character <= "\u036f"


def _latin(word: str) -> str:
    word = unicodedata.normalize("NFC", word).replace("ज्ञ", "ग्य").replace("ॐ", "ओम")
    out: list[str] = []
    for position, letter in enumerate(word):
        after = word[position + 1 : position + 2]
        if letter in _CONSONANTS:
            dotted = after == _DOT
            out.append(_WITH_DOT.get(letter, _CONSONANTS[letter]) if dotted else _CONSONANTS[letter])
            out.append(_inherent_vowel(word, position, position + 1 + dotted))
        elif letter in _ANUSVARA:
            out.append("m" if after and after in _LABIALS else "n")
        else:
            out.append(_VOWELS.get(letter) or _SIGNS.get(letter) or _other(letter))
    return "".join(out)


def _other(letter: str) -> str:
    if "ऀ" <= letter <= "ॿ":
        return str(unicodedata.decimal(letter)) if letter.isdecimal() else "h" if letter == _VISARGA else ""
    return letter


def _inherent_vowel(word: str, position: int, following: int) -> str:
    """The unwritten `a` of a consonant: lost before a sign, and at the end of a word unless a sonorant ends a cluster
    (कृष्ण Krishna, but दत्त Datt)."""
    after = word[following : following + 1]
    if after and (after in _SIGNS or after == _VIRAMA):
        return ""
    if after:
        return "a"
    return "a" if word[position] in _SONORANTS and word[position - 1 : position] == _VIRAMA else ""


@lru_cache(maxsize=20_000)
def strict(spelt: str) -> str:
    """Equal for two spellings only if they are surely one name; the gate for identity compares this."""
    text = _fold(_ALIAS_OF.get(spelt, spelt), (*_FOR_STRICT, *_ALWAYS))
    return _without_unspoken_a(text)


@lru_cache(maxsize=20_000)
def normal(spelt: str) -> str:
    """What search compares: coarse enough for a receptionist's spelling."""
    return _fold(_ALIAS_OF.get(spelt, spelt), (*_FOR_NORMAL, *_ALWAYS))


@lru_cache(maxsize=20_000)
def skeleton(spelt: str) -> str:
    """The first vowel and the consonants of the normal form."""
    text = _fold(normal(spelt), _FOR_SKELETON)
    first = {"e": "i", "o": "u"}.get(text[:1], text[:1])
    return _fold(first + re.sub(r"[aeiouy]|h(?=[^aeiou])", "", text[1:]), _OF_CONSONANTS)


def _fold(text: str, rules: Iterable[tuple[str, str]]) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def _without_unspoken_a(text: str) -> str:
    """Kamala → kamla: an `a` that Hindi writes and does not speak, between vowel-consonant and consonant-vowel."""
    position = 2
    while position < len(text) - 2:
        before, after = text[position - 2 : position], text[position + 1 : position + 3]
        if text[position] == "a" and _vowel_consonant(before) and _vowel_consonant(after[::-1]):
            text = text[:position] + text[position + 1 :]
        position += 1
    return text


def _vowel_consonant(pair: str) -> bool:
    return pair[0] in "aeiou" and pair[1] not in "aeiouy"


def likeness(one: str, other: str) -> float:
    """Jaro-Winkler similarity, 0 to 1 (Winkler 1990; prefix weight 0.1, at most four letters)."""
    if one == other:
        return 1.0
    reach = max(0, max(len(one), len(other)) // 2 - 1)
    taken = [False] * len(other)
    matched: list[str] = []
    for position, letter in enumerate(one):
        for candidate in range(max(0, position - reach), min(len(other), position + reach + 1)):
            if not taken[candidate] and other[candidate] == letter:
                taken[candidate] = True
                matched.append(letter)
                break
    if not matched:
        return 0.0
    there = [letter for letter, is_taken in zip(other, taken, strict=True) if is_taken]
    moved = sum(a != b for a, b in zip(matched, there, strict=True)) / 2
    count = len(matched)
    jaro = (count / len(one) + count / len(other) + (count - moved) / count) / 3
    shared = next((n for n in range(min(4, len(one), len(other))) if one[n] != other[n]), min(4, len(one), len(other)))
    return jaro + shared * 0.1 * (1 - jaro)
