"""Nobody's name, number or phone in clear: not in a column, a log line, a job, a key store or a file."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pypdf
import pytest
import structlog
from psycopg import sql

from lims_api.core.telemetry import configure_logs
from tests.integration.laboratory import Laboratory, Person, message

NAME, UHID, PHONE, BORN = "Zenobia Quintabelle Wadiawala", "ZQW/77123/A", "98450 61234", "1979-11-23"
COMMENT = "Zenobia telephoned herself"
TELLING = ("zenobia", "quintabelle", "wadiawala", "zqw/77123", "9845061234", "98450 61234", "1979-11-23", "19791123")
"""What would tell who she is, in the forms in which it may lie somewhere."""


@dataclass(frozen=True)
class Flow:
    """What was done, and what the process said meanwhile."""

    person: Person
    order_id: str
    report_id: str
    tokens: tuple[str, ...]
    said: str


@pytest.fixture
def logs(capfd: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """The logs as the server writes them, on stderr."""
    configure_logs("DEBUG")
    yield capfd
    structlog.reset_defaults()


@pytest.fixture
def flow(lab: Laboratory, logs: pytest.CaptureFixture[str]) -> Flow:
    """She is registered, found, measured under another name, corrected, reported, read; and much is refused."""
    body = {
        "name": NAME, "uhid": UHID, "phone": PHONE, "sex": "female", "birth_on": BORN, "birth_precision": "day",
    }  # fmt: skip
    found = lab.post("/v1/patients/search", {"uhid": UHID}, by="reception")["hits"]
    patient_id = found[0]["id"] if found else lab.post("/v1/patients", body, by="reception")["id"]
    lab.call("POST", "/v1/patients", body, by="reception")
    lab.call("POST", "/v1/patients", body | {"sex": NAME}, by="reception")
    lab.post("/v1/patients/search", {"name": "zenobia wadia"}, by="reception")
    lab.get(f"/v1/patients/{patient_id}", by="reception")
    lab.call("GET", f"/v1/patients/{NAME}?phone={PHONE}", by="reception")
    card = lab.get(f"/v1/patients/{patient_id}", by="reception")
    person = Person(card["id"], card["uhid"], card["name"], card["sex"], None)
    order_id, report_id = _measured(lab, person)
    lab.call("POST", "/v1/sessions", {"organization": NAME, "username": NAME, "password": PHONE})
    return Flow(person, order_id, report_id, tuple(lab.tokens.values()), "".join(logs.readouterr()))


def _measured(lab: Laboratory, person: Person) -> tuple[str, str]:
    drawn = lab.draw("GLU", person=person)
    stated = person.stated(birth_on="1979-11-23", name="QUINTABELLE ZENOBIA W")
    strange = lab.observation("GLU", f"see {NAME}", value=None, flags=("A",), run="2")
    unreadable = message(None, [], groups=(), error=f"no field 3 in PID|||{NAME}")
    lab.deliver(message(drawn.accession, [lab.observation("GLU"), lab.observation("XYZ", PHONE)], stated), unreadable)
    lab.deliver(message("9900000001", [strange], stated))
    held = lab.lines(drawn.order_id)["GLU"][0]["id"]
    lab.get(f"/v1/results/{held}")
    lab.get("/v1/results/held")
    lab.parked()
    body = {"value_text": "86", "reason": "dilution_error", "comment": COMMENT}
    corrected = lab.post(f"/v1/results/{held}/correct", body, by="technician")["id"]
    lab.call("POST", f"/v1/results/{held}/correct", body | {"reason": NAME}, by="technician")
    lab.call("POST", f"/v1/results/{corrected}/correct", body | {"value_text": NAME}, by="technician")
    lab.post("/v1/results/authorise", {"result_ids": [corrected]})
    lab.settle()
    report_id: str = lab.get(f"/v1/orders/{drawn.order_id}/reports")[0]["id"]
    answer = lab.call("GET", f"/v1/reports/{report_id}/pdf")
    assert NAME in " ".join(pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text().split())
    return str(drawn.order_id), report_id


def telling(text: str) -> list[str]:
    """What in a text would tell who she is: plain, or as the hexadecimal in which bytes are shown."""
    lower = text.lower()
    return [word for word in TELLING if word in lower or word.encode().hex() in lower or _titled(word) in lower]


def _titled(word: str) -> str:
    return word.title().encode().hex()


def _everything(dsn: str) -> Iterator[tuple[str, str]]:
    """Every row of every table of a database, as text."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, name in tables:
            rows = connection.execute(
                sql.SQL("select t::text from {} t").format(sql.Identifier(schema, name))
            )  # fmt: skip
            for (row,) in rows:
                yield f"{schema}.{name}", row


@pytest.mark.req("4.4.1", "4.4.3")
def test_no_column_of_any_table_tells_who_somebody_is(lab: Laboratory, flow: Flow) -> None:
    environment = lab.environment
    found: dict[str, list[str]] = {}
    counted: dict[str, int] = {}
    for dsn in (environment.superuser_dsn, environment.cluster.superuser_dsn(environment.keys_name)):
        for table, row in _everything(dsn):
            counted[table] = counted.get(table, 0) + 1
            if words := telling(row):
                found.setdefault(table, []).extend(words)

    assert found == {}
    written = {table.split("_p2")[0] for table in counted}
    assert written >= {
        "lims.patients", "lims.results", "lims.ledger", "lims.outbox", "lims.record_groups", "lims.parked_observations",
        "lims.access_log", "lims.idempotency_keys", "lims.reports", "jobs.procrastinate_jobs", "public.patient_keys",
    }  # fmt: skip


@pytest.mark.req("4.4.3")
def test_no_log_line_tells_who_somebody_is(flow: Flow) -> None:
    lines = [json.loads(line) for line in flow.said.splitlines() if line.startswith("{")]

    assert telling(flow.said) == []
    routes = {line.get("route") for line in lines}
    assert {"/v1/patients", "/v1/patients/search", "/v1/ingest/messages", "/v1/sessions"} <= routes
    assert {line["status"] for line in lines if line["event"] == "request"} >= {200, 201, 409, 422, 401}
    assert not any(token in flow.said for token in flow.tokens)


@pytest.mark.req("4.4.1")
def test_no_file_on_the_disk_tells_who_somebody_is(lab: Laboratory, flow: Flow) -> None:
    lies = [file for file in lab.services.files_folder.rglob("*") if file.is_file()]

    assert len(lies) > 0
    for file in lies:
        content = file.read_bytes()
        assert telling(content.decode("latin-1")) == []
        assert telling(str(file)) == []
        assert not content.startswith(b"%PDF")


def test_no_token_lies_anywhere_in_the_database(lab: Laboratory, flow: Flow) -> None:
    for table, row in _everything(lab.environment.superuser_dsn):
        for token in flow.tokens:
            assert token not in row, table
            assert token.encode().hex() not in row, table


def test_a_comment_is_sealed_and_opens_under_her_key_alone(lab: Laboratory, flow: Flow) -> None:
    ((result_id, sealed),) = lab.rows(
        "select id, comment_sealed from lims.results where order_id = %s and comment_sealed is not null", flow.order_id
    )
    keys, tenant = lab.environment.keys, lab.organization_id

    key: Any = keys.patient_key(
        tenant, lab.rows("select patient_id from lims.orders where id = %s", flow.order_id)[0][0]
    )
    assert keys.unseal(bytes(sealed), key, tenant, "results.comment_sealed", result_id) == COMMENT
