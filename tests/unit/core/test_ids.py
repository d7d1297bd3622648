"""Identifiers are UUIDs of version 7, in order."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

from lims_api.core.clock import utc_now
from lims_api.core.ids import SYSTEM_ACTOR, derived, uuid7, uuid7_texts

ROOT = Path(__file__).parents[3]


def test_an_id_is_a_uuid_of_version_7_with_the_time_in_front() -> None:
    before = utc_now()
    made = uuid7()
    after = utc_now()

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    milliseconds = made.int >> 80
    assert int(before.timestamp() * 1000) <= milliseconds <= int(after.timestamp() * 1000) + 1


def test_ids_of_one_process_are_in_the_order_they_were_made() -> None:
    made = [uuid7() for _ in range(20_000)]

    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_made_by_many_threads_are_all_different() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [each for batch in pool.map(lambda _: [uuid7() for _ in range(2_000)], range(8)) for each in batch]

    assert len(set(made)) == 16_000


def test_ids_of_two_processes_differ() -> None:
    program = "from lims_api.core.ids import uuid7\nprint(*[uuid7() for _ in range(2_000)])"
    running = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, text=True, stdout=subprocess.PIPE) for _ in range(2)
    ]
    made = [word for process in running for word in process.communicate()[0].split()]

    assert len(set(made)) == 4_000


def test_the_systems_actor_is_a_valid_id_that_no_clock_gives() -> None:
    assert SYSTEM_ACTOR.version == 7
    assert SYSTEM_ACTOR.int >> 80 == 0


def test_an_id_that_is_derived_is_of_version_8_and_the_same_every_time() -> None:
    key = uuid7()

    made = derived(key, "Composition")

    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert made == derived(key, "Composition")
    assert len({made, derived(key, "Bundle"), derived(uuid7(), "Composition")}) == 3


def test_many_ids_at_once_stand_between_those_before_and_after() -> None:
    before, made, after = uuid7(), [UUID(text) for text in uuid7_texts(10_000)], uuid7()

    assert [before, *made, after] == sorted({before, *made, after})
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert uuid7_texts(0) == []
