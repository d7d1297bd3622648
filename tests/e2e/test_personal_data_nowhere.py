"""After a day nobody's name, phone or number lies in clear anywhere, and no search token has left its two tables.

The people are opened through the application, so that what is looked for is what they are called. Then everything that
the installation wrote is read: each database as a plain dump, each column of the lake, the spools, every file.

A part of a name with four or five letters occurs by chance in half a gigabyte of ciphertext, and inside other words: it
is looked for as a whole word, where somebody reads words. Six letters and more, whole names, phones and numbers are
looked for anywhere and in every form in which a text may lie in bytes.

Left out are the demonstration's own means, which stand for the world outside: `demo/` (a former system's export) and
`run/cdisc-expected.json` (what the simulator expects). Two parts of names are not looked for alone, but in whole names:
`Subject`, as all patients of the CDISC study are called (the number that follows it tells them apart), and the surname
More, which is a word; so is what has Minati in it. A dump's table definitions hold no rows, but words of ours.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
import sqlite3
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lims_api.core.db.bootstrap import DATABASES
from lims_api.patients.schemas import Identity
from tests.e2e.conftest import Day
from tests.postgres import database

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(900)]

WORD, ANYWHERE = 4, 6
"""How many bytes a part of a name must have to be looked for as a word, and anywhere."""
ALSO_WORDS = {"subject", "more"}
HOLDS_A_NAME = re.compile(rb"[a-z]+minati(?:on|ng)s?")  # termination, examination
TOKENS_LIE_IN = {"lims lims.patient_tokens", "lims lims.patient_numbers"}
OUTSIDE = ("demo/", "run/cdisc-expected.json", "postgresql/")
NATIONAL_DIGITS, LONGEST_BEFORE = 10, 12
CHUNK, HASH_BITS = 1 << 20, 22
Words = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True)
class Place:
    """Something that was written; `says` words that a person may read, or is only bytes."""

    name: str
    content: bytes
    says: bool = True


# finding


@dataclass(frozen=True)
class Wanted:
    """What a pattern stands for; as a `word` it counts only between other characters than letters and digits."""

    text: str
    word: bool = False
    token: bool = False


class Finder:
    """Finds any of many patterns in bytes, in any case: their first bytes by a table, the rest one by one."""

    def __init__(self, patterns: dict[bytes, Wanted], *, width: int) -> None:
        self._width = width
        self._patterns = {pattern.lower(): wanted for pattern, wanted in patterns.items()}
        self._longest = max(map(len, self._patterns), default=0)
        self._rest: dict[int, list[bytes]] = defaultdict(list)
        for pattern in self._patterns:
            assert len(pattern) >= width
            self._rest[int.from_bytes(pattern[:width], "little")].append(pattern)
        self._first = np.array([*sorted(self._rest), np.iinfo(np.uint64).max], dtype=np.uint64)
        self._mask = np.uint64((1 << 8 * width) - 1)
        # shifted left, so that of eight bytes only the first `width` count
        self._factor = np.uint64((0x9E3779B97F4A7C15 << 8 * (8 - width)) % (1 << 64))
        self._table = np.zeros(1 << HASH_BITS, dtype=bool)
        self._table[self._slots(self._first[:-1])] = True

    def find(self, content: bytes) -> set[Wanted]:
        """What is there."""
        found = set()
        for start in range(0, len(content), CHUNK):
            before = min(start, LONGEST_BEFORE)  # what stands beside a word must be seen, too
            lower = content[start - before : start + CHUNK + self._longest + 4].lower()
            for at in self._starts(lower):
                if before <= at < before + CHUNK:
                    patterns = self._rest[int.from_bytes(lower[at : at + self._width], "little")]
                    found |= {self._patterns[one] for one in patterns if self._is_there(one, lower, at)}
        return found

    def _starts(self, lower: bytes) -> Iterator[int]:
        """Where the first bytes of some pattern stand."""
        padded = lower + bytes(16)
        for offset in range(8):
            words = np.frombuffer(padded, np.uint64, count=len(lower) // 8 + 1, offset=offset)
            likely = np.flatnonzero(self._table[self._slots(words)])
            first = words[likely] & self._mask
            there = self._first[np.searchsorted(self._first, first)] == first
            yield from (likely[there] * 8 + offset).tolist()

    def _slots(self, words: Words) -> Words:
        slots = words * self._factor
        slots >>= np.uint64(64 - HASH_BITS)
        return slots

    def _is_there(self, pattern: bytes, lower: bytes, at: int) -> bool:
        if not lower.startswith(pattern, at):
            return False
        if self._patterns[pattern].word:
            beside = lower[max(at - 1, 0) : at] + lower[at + len(pattern) : at + len(pattern) + 1]
            return not any(byte > 127 or chr(byte).isalnum() for byte in beside)
        start = max(at - LONGEST_BEFORE, 0)
        around = HOLDS_A_NAME.finditer(lower, start, at + len(pattern) + 3)
        return not any(word.start() < at < word.end() for word in around)


class Search:
    """Everything that must be nowhere."""

    def __init__(self, people: Iterable[Identity], tokens: Iterable[int]) -> None:
        words: dict[bytes, Wanted] = {}
        anywhere: dict[bytes, Wanted] = {}
        for token in tokens:
            anywhere |= dict.fromkeys(_token_forms(token), Wanted(f"token {token}", token=True))
        for text in {text for person in people for text in _texts(person)}:
            if WORD <= len(text.encode()) < ANYWHERE:
                words[text.encode()] = Wanted(text, word=True)
            elif len(text.encode()) >= ANYWHERE:
                anywhere |= dict.fromkeys(_forms(text), Wanted(text))
                anywhere[text.encode()] = Wanted(text, word=text.isdigit() and len(text) == NATIONAL_DIGITS)
        self._words, self._anywhere = Finder(words, width=WORD), Finder(anywhere, width=ANYWHERE)

    def found(self, places: Iterable[Place]) -> dict[str, set[str]]:
        """What lies where: names and numbers of people, and tokens outside their tables."""
        everything = ((place.name, self._in(place)) for place in places)
        return {name: {wanted.text for wanted in found} for name, found in everything if found}

    def _in(self, place: Place) -> set[Wanted]:
        found = self._anywhere.find(place.content)
        if place.name in TOKENS_LIE_IN:
            found = {wanted for wanted in found if not wanted.token}
        return found | (self._words.find(place.content) if place.says else set())


def _texts(person: Identity) -> Iterator[str]:
    """What would tell who somebody is."""
    yield person.name
    yield person.uhid
    if person.phone:
        national = person.phone.removeprefix("+91")
        yield from (person.phone, f"91{national}", national, f"{national[:5]} {national[5:]}")
    yield from (
        part for part in re.findall(r"[^\W\d_]+", person.name) if len(part) >= WORD and part.lower() not in ALSO_WORDS
    )


def _forms(text: str) -> Iterator[bytes]:
    """How a text may lie in bytes; case is ignored, so that what is encoded is made in three cases."""
    yield text.encode()
    yield json.dumps(text)[1:-1].encode()
    yield "".join(f"\\u{ord(letter):04x}" for letter in text).encode()
    for written in {text, text.lower(), text.upper()}:
        plain = written.encode()
        yield from (written.encode("utf-16-le"), written.encode("utf-16-be"), plain.hex().encode())
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + plain)
            after = (0, 3, 2)[(before + len(plain)) % 3]
            own = encoded[(0, 2, 3)[before] : len(encoded) - after]  # what does not depend on the neighbours
            if len(own) >= 8:
                yield own


def _token_forms(token: int) -> Iterator[bytes]:
    yield str(token).encode()
    for order in ("big", "little"):
        raw = token.to_bytes(8, order, signed=True)
        yield from (raw, raw.hex().encode())


# places


def dumped(day: Day, name: str) -> Iterator[Place]:
    """A database as `pg_dump` writes it: each table's rows, and the rest."""
    cluster = day.installation.cluster
    command = [str(cluster.binary("pg_dump")), "--format=plain", cluster.superuser_dsn(name)]
    dump = subprocess.run(command, capture_output=True, check=True).stdout
    rest, at = b"", 0
    for head in re.finditer(rb"^COPY (\S+) \(.*\) FROM stdin;\n", dump, re.MULTILINE):
        if head.start() < at:
            continue  # a row that looks like the head of a table
        end = dump.index(b"\n\\.\n", head.end() - 1)
        yield Place(f"{name} {head[1].decode()}", dump[head.end() : end])
        rest, at = rest + dump[at : head.start()], end
    yield Place(f"{name}, definitions", rest + dump[at:], says=False)


def files_of(folder: Path) -> Iterator[Place]:
    """Every file below a folder; Parquet and SQLite also as what they say."""
    files = {file.relative_to(folder).as_posix(): file for file in sorted(folder.rglob("*")) if file.is_file()}
    ours = {name: file for name, file in files.items() if not name.startswith(OUTSIDE)}
    for name, file in ours.items():
        content = file.read_bytes()
        yield Place(name, content, says=_is_text(content))
    for name, file in ours.items():
        if file.suffix == ".parquet":
            yield from (Place(f"{name} {column}", said) for column, said in _columns(pq.read_table(file)))
        elif file.suffix == ".db":
            yield from _tables(file, name)


def _is_text(content: bytes) -> bool:
    try:
        return b"\0" not in content and bool(content.decode())
    except UnicodeDecodeError:
        return False


def _columns(table: pa.Table) -> Iterator[tuple[str, bytes]]:
    """Every column that can hold a text, bytes or a token."""
    for name, column in zip(table.column_names, table.columns, strict=True):
        if pa.types.is_integer(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string(column.type):
            yield name, "\n".join(filter(None, column.cast(pa.string()).to_pylist())).encode()
        elif pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
            yield name, b"\n".join(filter(None, column.to_pylist()))
        else:
            assert pa.types.is_primitive(column.type), f"{name} is {column.type}: how is it to be read?"


def _tables(file: Path, name: str) -> Iterator[Place]:
    """Each table of a SQLite file; read last, since reading may take its log into the file."""
    with closing(sqlite3.connect(file)) as spool:
        for (table,) in spool.execute("select name from sqlite_master where type = 'table'").fetchall():
            values = (value for row in spool.execute(f'select * from "{table}"') for value in row)
            said = (value if isinstance(value, bytes) else str(value).encode() for value in values)
            yield Place(f"{name} {table}", b"\n".join(said))


@pytest.fixture(scope="module")
def people(day: Day) -> list[Identity]:
    return list(day.people().values())


@pytest.fixture(scope="module")
def search(day: Day, people: list[Identity]) -> Search:
    tokens = day.rows("select token from lims.patient_tokens union select token from lims.patient_numbers")
    return Search(people, [token for (token,) in tokens])


def looked_through(places: Iterable[Place], read: set[str]) -> Iterator[Place]:
    """The same places, each remembered as read."""
    for place in places:
        if place.content:
            read.add(place.name)
        yield place


@pytest.mark.req("4.1.3", "4.4.1", "4.4.2")
def test_no_dump_of_any_database_tells_who_somebody_is_or_holds_a_token_elsewhere(
    day: Day, search: Search, people: list[Identity]
) -> None:
    assert len(people) == day.rows("select count(*) from lims.patients where status = 'active'")[0][0] > 1000
    read: set[str] = set()

    found = [search.found(looked_through(dumped(day, name), read)) for name in DATABASES]

    assert found == [{}] * len(DATABASES)
    rows = day.rows("select distinct tableoid::regclass::text from lims.ledger")
    rows += day.rows("select distinct tableoid::regclass::text from lims.access_log")
    written = {f"lims {partition}" for (partition,) in rows}
    assert {"lims.ledger" in name for name in written} == {True, False}
    assert read >= written | TOKENS_LIE_IN | {f"{name}, definitions" for name in DATABASES}
    assert read >= {
        "lims lims.patients", "lims lims.outbox", "lims jobs.procrastinate_jobs", "lims jobs.procrastinate_events",
        "lims lims.idempotency_keys", "lims lims.instrument_messages", "lims lims.record_groups",
        "keys public.patient_keys", "warehouse clinical.fct_results", "dagster public.event_logs", "mlflow public.runs",
        "lake public.iceberg_tables",
    }  # fmt: skip


@pytest.mark.req("4.1.3", "4.4.2", "4.4.3")
def test_no_file_of_lake_spool_store_logs_and_models_tells_who_somebody_is_or_holds_a_token(
    day: Day, search: Search
) -> None:
    read: set[str] = set()

    found = search.found(looked_through(files_of(day.folder), read))

    assert found == {}
    ledger = {name for name in read if name.startswith("lake/bronze/ledger/data/") and name.endswith(" body")}
    stored = {name for name in read if name.startswith("files/")}
    assert ledger
    assert len(stored) == day.rows("select count(*) from lims.reports")[0][0]
    assert read >= {"demo.json", "logs/api.log", "logs/worker.log", "logs/gateway-demo.log", "spool/demo/spool.db"}
    assert any(name.startswith("spool/demo/spool.db ") for name in read)
    assert {name.split("/")[0] for name in read} >= {"dagster", "mlflow", "models", "run", "keys"}


# Proof that the search can fail


PLANTED = Identity(uhid="ZX-4711/B", name="Zenobia Roy Wadiawala", phone="+919845061234")
TOKEN = -7361802244190550417
CASES: dict[str, tuple[bytes, set[str]]] = {
    "a name": (b"... Zenobia Roy Wadiawala ...", {"Zenobia", "Zenobia Roy Wadiawala", "Wadiawala"}),
    "a part within a word, in capitals": (b"xZENOBIAx", {"Zenobia"}),
    "a number": (b"{'uhid': 'zx-4711/b'}", {"ZX-4711/B"}),
    "a phone": (b"call 9845061234.", {"9845061234"}),
    "a phone as it is spoken": (b"+91 98450 61234", {"98450 61234"}),
    "a phone with its country": (b"x919845061234x", {"919845061234"}),
    "ten digits of a longer number": (b"0.98450612341", set()),
    "UTF-16": ("Wadiawala".encode("utf-16"), {"Wadiawala"}),
    "hexadecimal": (b"\\\\x00" + b"wadiawala".hex().upper().encode(), {"Wadiawala"}),
    "Base64": (base64.b64encode(b"name: WADIAWALA,"), {"Wadiawala"}),
    "Base64, one further": (base64.b64encode(b"a name: WADIAWALA,"), {"Wadiawala"}),
    "Base64, two further": (base64.b64encode(b"as name: WADIAWALA,"), {"Wadiawala"}),
    "escaped": (rb"\u0057\u0061\u0064\u0069\u0061\u0077\u0061\u006c\u0061", {"Wadiawala"}),
    "a token": (b'{"token": -7361802244190550417}', {f"token {TOKEN}"}),
    "a token's bytes": (b"\0" + TOKEN.to_bytes(8, "big", signed=True), {f"token {TOKEN}"}),
    "a token's bytes the other way round": (TOKEN.to_bytes(8, "little", signed=True), {f"token {TOKEN}"}),
    "a token's bytes in hexadecimal": (TOKEN.to_bytes(8, "big", signed=True).hex().encode(), {f"token {TOKEN}"}),
    "nothing": (b"Zenob iaRoy Wadia wala", set()),
}


@pytest.fixture
def search_for_one() -> Search:
    return Search([PLANTED], [TOKEN])


@pytest.mark.parametrize(("written", "told"), CASES.values(), ids=CASES)
def test_the_search_finds_each_form(search_for_one: Search, written: bytes, told: set[str]) -> None:
    far = bytes(CHUNK - 20)  # across the edge of what is looked through at once

    for content in (written, far + b" " + written + b" "):
        found = search_for_one.found([Place("here", content, says=False)])
        assert found == ({"here": told} if told else {})


def test_a_short_part_of_a_name_is_found_as_a_word_alone() -> None:
    search = Search([Identity(uhid="ZX-4711/B", name="Modi Wadiawala")], [TOKEN])

    assert search.found([Place("a log", b'{"event":"MODI"}')]) == {"a log": {"Modi"}}
    assert search.found([Place("ciphertext", b"\x01modi\x02", says=False)]) == {}
    for edge in range(CHUNK - 8, CHUNK + 2):  # of what is looked through at once
        assert search.found([Place("a log", b"x" * edge + b"modified")]) == {}
        assert search.found([Place("a log", b"x" * edge + b" modi ")]) == {"a log": {"Modi"}}


def test_a_word_that_holds_a_name_is_none() -> None:
    search = Search([Identity(uhid="ZX-4711/B", name="Minati More")], [TOKEN])

    assert search.found([Place("a log", b"terminating connection; no more examinations")]) == {}
    assert search.found([Place("a log", b"xMinatix")]) == {"a log": {"Minati"}}
    assert search.found([Place("a log", b"patient minati more")]) == {"a log": {"Minati", "Minati More"}}


def test_a_name_and_a_token_that_are_planted_in_a_copy_are_found(
    day: Day, tmp_path: Path, search_for_one: Search
) -> None:
    for folder in ("lake/gold/fct_turnaround", "spool", "logs"):
        shutil.copytree(day.folder / folder, tmp_path / folder)
    assert search_for_one.found(files_of(tmp_path)) == {}

    parquet = min((tmp_path / "lake").rglob("*.parquet"))
    rows = pq.read_table(parquet)
    told = pa.array([base64.b64encode(PLANTED.name.encode()).decode()] * len(rows))
    tokens = pa.array([TOKEN] * len(rows))
    pq.write_table(rows.append_column("told", told).append_column("token", tokens), parquet, compression="zstd")
    with closing(sqlite3.connect(tmp_path / "spool" / "demo" / "spool.db")) as spool:
        spool.execute("create table planted (said blob)")
        spool.execute("insert into planted values (?)", (PLANTED.uhid.encode("utf-16-le"),))
        spool.commit()
    with (tmp_path / "logs" / "api.log").open("a") as log:
        log.write('{"event": "request", "phone": "98450 61234"}\n')

    name = parquet.relative_to(tmp_path).as_posix()
    found = search_for_one.found(files_of(tmp_path))
    assert found.pop(f"{name} told") >= {PLANTED.name, "Wadiawala"}
    assert found.pop(name) >= {"Wadiawala"}, "Parquet writes a column's least and greatest value in clear"
    assert found == {
        f"{name} token": {f"token {TOKEN}"},
        "spool/demo/spool.db": {PLANTED.uhid},
        "spool/demo/spool.db planted": {PLANTED.uhid},
        "logs/api.log": {"98450 61234"},
    }


def test_a_name_and_a_token_that_are_planted_in_a_table_are_found(day: Day, search_for_one: Search) -> None:
    with database(day.installation.cluster, "planted") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table public.patient_tokens (token bigint, phone text, sealed bytea)")
        assert search_for_one.found(dumped(day, "planted")) == {}

        connection.execute(
            "insert into public.patient_tokens values (%s, %s, %s)", (TOKEN, PLANTED.phone, PLANTED.uhid.encode())
        )

        found = search_for_one.found(dumped(day, "planted"))
    told = {f"token {TOKEN}", "919845061234", "+919845061234", PLANTED.uhid}
    assert found == {"planted public.patient_tokens": told}
