"""Readers that lose nothing whatever the writers do, and cursors that nobody of ours made."""

import base64
import json
import random
import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lims_api.core.db import Database, SystemCaller, open_database, transaction
from lims_api.core.ids import uuid7
from lims_api.organizations.models import Site, SiteKind
from tests.integration.laboratory import Laboratory
from tests.integration.sync.conftest import ALL
from tests.integration.sync.store import Store, filled

WRITERS = 6
SECONDS = 5.0


class RolledBack(Exception):
    """Raised by a writer that changes its mind."""


@dataclass
class Truth:
    """The names that the writers know to be committed, by the site's id."""

    names: dict[UUID, str] = field(default_factory=dict)
    rolled_back: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def write(database: Database, tenant: UUID, truth: Truth, number: int, until: float) -> None:
    """New sites and new names of one's own, in transactions that dawdle; number 0 is slow, one in ten is taken back."""
    chance, mine = random.Random(number), list[UUID]()
    while time.monotonic() < until:
        written: dict[UUID, str] = {}
        try:
            with transaction(SystemCaller(database=database, organization_id=tenant)) as session:
                for _ in range(chance.randint(1, 3)):
                    name = f"Centre {uuid7()}"
                    if mine and chance.random() < 0.5:
                        site = session.get_one(Site, (tenant, chance.choice(mine)))
                        site.name = name
                    else:
                        site = Site(organization_id=tenant, code=str(uuid7()), name=name, kind=SiteKind.LAB)
                        session.add(site)
                    session.flush()
                    written[site.id] = name
                    time.sleep(0.4 if number == 0 else chance.choice((0, 0.002, 0.03)))
                if chance.random() < 0.1:
                    raise RolledBack
        except RolledBack:
            truth.rolled_back += 1
        else:
            mine += [each for each in written if each not in mine]
            with truth.lock:
                truth.names |= written


@pytest.mark.req("1.1.3")
def test_hostile_writers_make_no_app_miss_a_change(lab: Laboratory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three apps, one of which loads anew all the time: each holds in the end what was committed last."""
    truth, stores = Truth(), [Store(lab, lab.someone(*ALL)) for _ in range(3)]
    stores[0].pull()
    database = open_database(lab.environment.url("lims_app"), lab.environment.keys, connections=WRITERS)
    until = time.monotonic() + SECONDS
    writers = [
        threading.Thread(target=write, args=(database, lab.organization_id, truth, number, until))
        for number in range(WRITERS)
    ]
    known = set(stores[0].of("sites"))

    for writer in writers:
        writer.start()
    rounds = 0
    while any(writer.is_alive() for writer in writers):
        for store in stores:
            store.once()
        stores[2].cursor = None
        rounds += 1
    database.close()
    for store in stores:
        store.pull()

    assert len(truth.names) > 100
    assert truth.rolled_back > 3
    assert rounds > 5
    expected = {str(each): name for each, name in truth.names.items()}
    for store in stores:
        held = {each: one["name"] for each, one in store.of("sites").items() if each not in known}
        assert held == expected
    assert stores[0].resets == stores[1].resets == 1


# cursors


@pytest.fixture(scope="module")
def store(lab: Laboratory) -> Store:
    """One that is loaded."""
    return filled(lab, lab.someone(*ALL))


def _opened(cursor: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return found


def _sealed(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


snapshots = st.one_of(
    st.text(max_size=30),
    st.builds(
        lambda first, end, inside: f"{first}:{end}:{','.join(map(str, inside))}",
        st.integers(-5, 1 << 70), st.integers(-5, 1 << 70), st.lists(st.integers(-5, 1 << 65), max_size=4),
    ),
)  # fmt: skip
garbage = st.one_of(
    st.text(max_size=200),
    st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode()),
    st.recursive(
        st.none() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    ).map(_sealed),
)  # fmt: skip


@given(garbage)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cursor_that_nobody_made_is_none(store: Store, cursor: str) -> None:
    answer = store.ask(cursor)

    assert answer.status_code == 200, answer.text
    assert answer.json()["reset"] is True


@given(
    snapshot=snapshots,
    stage=st.none() | st.integers(-2, 120) | st.text(max_size=3),
    after=st.none() | st.uuids().map(str) | st.text(max_size=9),
)
@settings(max_examples=200, deadline=None)
def test_a_cursor_whose_parts_were_changed_never_breaks_the_server(
    store: Store, snapshot: str, stage: object, after: object
) -> None:
    forged = _opened(store.cursor or "") | {"s": snapshot, "p": stage, "a": after}

    answer = store.ask(_sealed(forged))

    assert answer.status_code == 200, answer.text
    assert answer.json().keys() == {"cursor", "reset", "documents", "gone", "more", "server_time"}


@pytest.mark.parametrize("change", [{"c": "0" * 24}, {"v": 2}, {"v": None}, {"more": 1}, {"s": f"1:{1 << 62}:"}])
def test_a_cursor_of_another_scope_version_or_future_loads_anew(store: Store, change: dict[str, object]) -> None:
    forged = _sealed(_opened(store.cursor or "") | change)

    assert store.ask(store.cursor).json()["reset"] is False
    assert store.ask(forged).json()["reset"] is True


def test_a_cursor_too_long_to_be_ours_loads_anew(store: Store) -> None:
    assert store.ask("A" * 20_000).json()["reset"] is True


def test_a_cursor_names_nobody_and_nothing(store: Store) -> None:
    content = _opened(store.cursor or "")

    assert content.keys() <= {"v", "s", "c", "p", "a"}
    assert len(store.cursor or "") < 400
