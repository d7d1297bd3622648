"""A whole small laboratory in the tests' database, and what its people and its analyser do.

Ten example tests approved by a pathologist, a restricted and an unapproved one, staff and a gateway signed in, an
analyser whose controls are in control, a small real risk model, and a standing authorisation: what `measure` sends is
released unless something is wrong with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import polars as pl
import psycopg
from fastapi.testclient import TestClient
from joserfc.jwk import OKPKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from ingest.contract import (
    Batch,
    BatchReceipt,
    Control,
    Message,
    MessageKind,
    Observation,
    RecordGroup,
    StatedIdentity,
)
from lims_api.adapters.ml_scores import NAME, ModelFolder
from lims_api.app import Services, build
from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.cli import seeding
from lims_api.core.clock import business_day, utc_now
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.errors import LimsError
from lims_api.core.i18n import Language
from lims_api.core.jobs import Work, worker_app
from lims_api.core.permissions import Permission
from lims_api.core.relay import relay
from lims_api.equipment import service as equipment
from lims_api.equipment.models import Analyser
from lims_api.identity import service as identity
from lims_api.orders import service as orders
from lims_api.orders.schemas import OrderIn
from lims_api.organizations.models import SiteKind
from lims_api.organizations.service import sites
from lims_api.patients import service as patients
from lims_api.patients.schemas import PatientIn
from lims_api.qc import service as qc
from lims_api.qc.models import ControlLot
from lims_api.reports import jobs as _report_jobs
from lims_api.reports import subscribers as _report_subscribers
from lims_api.results import service as results
from lims_api.results.autoverification import RULES_VERSION
from lims_api.specimens import service as specimens
from ml.autoverification import register, train
from tests.conftest import Environment
from tests.factories import staff
from tests.unit.ml.panels import made_up_results

REGISTERED = (_report_jobs, _report_subscribers)
CHANNEL = "bench-1"
MATERIAL, LOT = "EXAMPLE serum", "L-1"
LEVELS = (1, 2)
MODEL_VERSION = "7"
RESTRICTED, UNAPPROVED = "HIV", "DRAFT"
USUAL = {
    "GLU": "85", "CREA": "0.95", "BUN": "13", "NA": "140", "K": "4.2", "CL": "103", "ALT": "22", "AST": "23",
    "ALP": "76", "TBIL": "0.60", RESTRICTED: "85", UNAPPROVED: "85",
}  # fmt: skip
"""Values that nothing is wrong with."""

TOLERATED_RISK = 0.04
"""So small a model finds a risk of some hundredths in usual values, on one processor more than on another."""

_names = itertools.count(1)
Answer = httpx.Response


@dataclass(frozen=True)
class Person:
    """A registered patient."""

    id: UUID
    uhid: str
    name: str
    sex: str
    birth_on: date | None

    def stated(self, **wrong: Any) -> StatedIdentity:
        """What an analyser states of them, right unless told otherwise."""
        known = {"patient_number": self.uhid, "name": self.name, "sex": self.sex, "birth_on": self.birth_on}
        return StatedIdentity(**(known | wrong))


@dataclass(frozen=True)
class Drawn:
    """An order whose one container was drawn, and received unless a test wants it otherwise."""

    order_id: UUID
    person: Person
    accession: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Laboratory:
    """One organization, its people's tokens and its way to the API."""

    environment: Environment
    client: TestClient
    services: Services
    organization_id: UUID
    code: str
    site_id: UUID
    centre_id: UUID
    tokens: Mapping[str, str]
    secrets: Path
    analyser: Analyser
    definitions: Mapping[str, DefinitionIn]
    users: Mapping[str, UUID] = field(default_factory=dict)

    # acting

    @contextmanager
    def session(self, username: str | None = None) -> Iterator[Session]:
        """A transaction of the application for this organization, by a member of staff or the system."""
        actor: dict[str, Any] = {"actor_id": self.users[username]} if username else {}
        caller = SystemCaller(
            database=self.environment.app, organization_id=self.organization_id, services=self.services, **actor
        )
        with transaction(caller) as session:
            yield session

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        by: str = "pathologist",
        key: str | None = None,
        **headers: str,
    ) -> Answer:
        """One request; `by` is a user name of `tokens`, or a token."""
        sent = {"Authorization": f"Bearer {self.tokens.get(by, by)}", "Idempotency-Key": key or str(uuid4())} | headers
        answer: Answer = self.client.request(method, path, json=body, headers=sent)
        return proper(answer)

    def get(self, path: str, *, by: str = "pathologist") -> Any:
        """The body of a read that must succeed."""
        answer = self.call("GET", path, by=by)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, *, by: str = "pathologist") -> Any:
        """The body of the reply to a write that must succeed."""
        answer = self.call("POST", path, body, by=by)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def someone(self, *permissions: Permission, **user: Any) -> str:
        """The token of a new member of staff who holds exactly these permissions."""
        return staff(self.environment, self.organization_id, permissions, **user)

    # patients, orders, specimens

    def person(self, **who: Any) -> Person:
        """A new patient: a man of 41 unless told otherwise. The name is theirs alone."""
        name = who.pop("name", f"Anil{_letters(next(_names))} Deshpande")
        wanted = {"sex": "male", "birth_on": date(1984, 3, 9), "birth_precision": "day"} | who
        with self.session("reception") as session:
            patient = patients.register(session, PatientIn.model_validate(wanted | {"name": name}))
            known = patients.open_identity(session, [patient])[patient.id]
        return Person(patient.id, known.uhid, known.name, str(patient.sex), known.birth_on)

    def draw(
        self,
        *tests: str,
        person: Person | None = None,
        receive: bool = True,
        site_id: UUID | None = None,
        language: Language | None = None,
    ) -> Drawn:
        """Order tests that are measured in one container, draw it, and receive it."""
        person, now = person or self.person(), utc_now()
        with self.session("reception") as session:
            wanted = OrderIn(
                patient_id=person.id, site_id=site_id or self.site_id, tests=list(tests or ("GLU",)), language=language
            )
            order = orders.place(session, wanted)
            session.flush()
            ((specimen, measured),) = specimens.collect(session, order.id, collected_at=now - timedelta(minutes=20))
            if receive:
                specimens.receive(session, specimen.accession_number, received_at=now - timedelta(minutes=10))
        return Drawn(order.id, person, specimen.accession_number, tuple(measured))

    # the analyser

    def observation(self, code: str = "GLU", measured: str | None = None, /, **changed: Any) -> Observation:
        """One value as the analyser sends it, usual unless told otherwise."""
        value_text = USUAL.get(code, "1") if measured is None else measured
        unit = self.definitions[code].unit if code in self.definitions else "mg/dL"
        as_sent = {
            "sequence": 1, "code": code, "value_text": value_text, "value": _number(value_text), "unit": unit,
            "observed_at": utc_now() - timedelta(minutes=1),
        }  # fmt: skip
        return Observation(**(as_sent | changed))

    def observations(self, drawn: Drawn, values: Mapping[str, str] | None = None, **changed: Any) -> list[Observation]:
        """One of each test of a specimen."""
        values = values or {}
        return [
            self.observation(code, values.get(code), sequence=place, **changed)
            for place, code in enumerate(drawn.tests, start=1)
        ]

    def deliver(self, *messages: Message, **changed: Any) -> BatchReceipt:
        """A batch that the core must take."""
        answer = self.send(batch(*messages, **changed))
        assert answer.status_code == 200, answer.text
        return BatchReceipt.model_validate_json(answer.content)

    def send(self, wanted: Batch) -> Answer:
        """A batch as a gateway sends it, under its id as the key."""
        headers = {
            "Authorization": f"Bearer {self.tokens['gateway']}", "Idempotency-Key": str(wanted.id),
            "Content-Type": "application/json",
        }  # fmt: skip
        answer: Answer = self.client.post(
            "/v1/ingest/messages", content=wanted.model_dump_json().encode(), headers=headers
        )
        return proper(answer)

    def measure(
        self,
        *tests: str,
        values: Mapping[str, str] | None = None,
        person: Person | None = None,
        channel: str = CHANNEL,
        stated: Mapping[str, Any] | None = None,
        site_id: UUID | None = None,
        language: Language | None = None,
        batch: Mapping[str, Any] | None = None,
        **observed: Any,
    ) -> Measured:
        """Order, draw, receive and measure: everything is right, except what a test makes wrong."""
        drawn = self.draw(*tests, person=person, site_id=site_id, language=language)
        identity = drawn.person.stated(**(stated or {}))
        sent = message(drawn.accession, self.observations(drawn, values, **observed), identity, channel=channel)
        self.deliver(sent, **(batch or {}))
        return Measured(self, drawn)

    # quality control

    def another_analyser(self, *tests: str, site_id: UUID | None = None) -> Analyser:
        """One more analyser, on the channel of its code, with targets but without any control measured."""
        number = next(_names)
        with self.session("pathologist") as session:
            analyser = equipment.add_analyser(
                session, code=f"A-{number}", name="Second analyser", model="mindray_bs", channel=f"bench-{number}x",
                site_id=site_id or self.site_id,
            )  # fmt: skip
            for code in tests or ("GLU",):
                equipment.map_code(session, analyser, code, test_code=code, unit_sent=self.definitions[code].unit)
                self._targets(session, analyser, code)
        return analyser

    def control(
        self,
        z: float = 0.1,
        *tests: str,
        analyser: Analyser | None = None,
        levels: tuple[int, ...] = LEVELS,
        at: datetime | None = None,
    ) -> None:
        """Measure a control at each level, `z` standard deviations beside its mean, ten minutes ago."""
        analyser, at = analyser or self.analyser, at or utc_now() - timedelta(minutes=10)
        with self.session() as session:
            lot = session.scalars(select(ControlLot).where(ControlLot.lot_number == LOT)).one()
            for level in levels:
                values = [
                    qc.Measured(code, Decimal(str(100 * level + z)), self.definitions[code].unit)
                    for code in tests or ("GLU",)
                ]
                qc.record(session, lot, level, values, analyser_id=analyser.id, occurred_at=at)

    def _targets(self, session: Session, analyser: Analyser, code: str) -> None:
        lot = session.scalars(select(ControlLot).where(ControlLot.lot_number == LOT)).one()
        for level in LEVELS:
            qc.set_target(
                session, lot, level, code, analyser_id=analyser.id, mean=Decimal(100 * level), sd=Decimal(1),
                source="EXAMPLE",
            )  # fmt: skip

    # afterwards

    def lines(self, order_id: UUID, *, by: str = "pathologist") -> dict[str, list[dict[str, Any]]]:
        """The results of an order as the API shows them, by test, oldest version first."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self.get(f"/v1/orders/{order_id}", by=by)["results"]:
            found.setdefault(line["test_code"], []).append(line)
        return found

    def parked(self) -> list[dict[str, Any]]:
        """Everything that waits for a person, oldest first, page by page."""
        page = self.get("/v1/parked")
        items: list[dict[str, Any]] = page["items"]
        while page["next"]:
            page = self.get(f"/v1/parked?after={page['next']}")
            items += page["items"]
        return items

    def work(self) -> Work:
        """What the worker's relay and jobs are given."""
        return Work(self.environment.system, self.services)

    def settle(self) -> None:
        """What the worker does: carry every event to its subscribers, and run the reports' jobs."""
        relay(self.work())
        run_jobs(self.work(), self.environment)

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a superuser sees."""
        with psycopg.connect(self.environment.superuser_dsn) as connection:
            return connection.execute(statement.encode(), values).fetchall()

    def ledger(self, table: str, row_id: UUID | str) -> list[tuple[Any, ...]]:
        """`(op, after, before, actor)` of one row's history, oldest first."""
        return self.rows(
            "select op, body::jsonb->'after', body::jsonb->'before', actor_id from lims.ledger"
            " where organization_id = %s and table_name = %s and row_id = %s order by seq",
            self.organization_id, table, row_id,
        )  # fmt: skip

    @contextmanager
    def with_services(self, **changed: Any) -> Iterator[Laboratory]:
        """The same laboratory behind another instance of the API, e.g. with another folder of models."""
        services = replace(self.services, **changed)
        with TestClient(build(self.environment.app, services), raise_server_exceptions=False) as client:
            yield replace(self, client=client, services=services)


@dataclass(frozen=True)
class Measured:
    """A specimen that was measured."""

    lab: Laboratory
    drawn: Drawn

    def line(self, code: str = "GLU") -> dict[str, Any]:
        """The newest version of one result, as the pathologist sees it."""
        return self.lab.lines(self.drawn.order_id)[code][-1]

    def reasons(self, code: str = "GLU") -> list[str]:
        """Why it is held; empty if it was released automatically."""
        line = self.line(code)
        assert (line["status"] == "authorised") == line["is_automatic"] == (not line["reasons"])
        reasons: list[str] = line["reasons"]
        return reasons

    def detail(self, code: str = "GLU", *, by: str = "pathologist") -> dict[str, Any]:
        """The result with what a person needs to decide on it."""
        detail: dict[str, Any] = self.lab.get(f"/v1/results/{self.line(code)['id']}", by=by)
        return detail


def proper(answer: Answer) -> Answer:
    """The answer; a refusal is a problem document of a known type, whatever the test is about."""
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        problem = answer.json()
        assert problem.keys() >= {"type", "title", "status", "detail", "instance"}
        assert problem["type"].rsplit("/", 1)[-1] in known_slugs()
        assert problem["status"] == answer.status_code
    return answer


@cache
def known_slugs() -> frozenset[str]:
    """Every type of problem that the code declares, and those of the web's side of core."""
    declared, waiting = set(), [LimsError]
    while waiting:
        kind = waiting.pop()
        declared.add(kind.slug)
        waiting += kind.__subclasses__()
    return frozenset(declared | {"invalid-request", "not-found", "method-not-allowed", "http-error"})


# contract objects


def group(
    accession: str | None, observations: list[Observation], identity: StatedIdentity | None = None, **changed: Any
) -> RecordGroup:
    """One specimen's part of a transmission; its bytes name the person, as an analyser's do."""
    told = identity.name if identity and identity.name else ""
    raw = f"PID|||{told}\rOBR|1|{accession or ''}\r".encode()
    return RecordGroup(
        **{"specimen": accession, "identity": identity, "observations": tuple(observations), "raw": _base64(raw)}
        | changed
    )


def message(
    accession: str | None,
    observations: list[Observation],
    identity: StatedIdentity | None = None,
    *,
    channel: str = CHANNEL,
    groups: tuple[RecordGroup, ...] | None = None,
    **changed: Any,
) -> Message:
    """One transmission of one specimen; its body's hash is that of its content."""
    parts = (group(accession, observations, identity),) if groups is None else groups
    content = "".join(part.model_dump_json() for part in parts) + str(next(_names))
    return Message(
        **{
            "channel": channel, "control_id": str(next(_names)), "format": "hl7", "type": "ORU^R01",
            "body_sha256": hashlib.sha256(content.encode()).hexdigest(), "received_at": utc_now(),
            "envelope": _base64(b"MSH|^~\\&|BS-480"), "groups": parts,
        }
        | changed
    )  # fmt: skip


def control_message(
    observations: list[Observation], *, level: int = 1, material: str = MATERIAL, lot: str = LOT, **changed: Any
) -> Message:
    """One control's transmission."""
    part = group(None, observations, control=Control(material=material, lot=lot, level=level))
    return message(None, [], groups=(part,), kind=MessageKind.CONTROL, **changed)


def batch(*messages: Message, **changed: Any) -> Batch:
    """Messages of one delivery, from a gateway whose clock is right."""
    return Batch(**{"id": uuid4(), "sent_at": utc_now(), "clock_offset_ms": 0, "messages": messages} | changed)


def _base64(content: bytes) -> bytes:
    return b64encode(content)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _letters(number: int) -> str:
    """A number as letters, so that it is part of a name."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


def run_jobs(work: Work, environment: Environment) -> None:
    """A worker on the reports' queue, until it is empty."""

    async def run() -> None:
        app = worker_app(environment.url("lims_system"), work)
        async with app.open_async():
            await app.run_worker_async(queues=["reports"], wait=False, install_signal_handlers=False)

    asyncio.run(run())


# making one


def open_laboratory(environment: Environment, folder: Path, *, code: str = "spine") -> Iterator[Laboratory]:
    """Seed everything once; the client closes afterwards."""
    services = Services(
        models=ModelFolder(folder / "models"), files_folder=folder / "files", dashboard_key_file=_dashboard_key(folder)
    )
    with TestClient(build(environment.app, services), raise_server_exceptions=False) as client:
        lab = _seed(environment, client, services, folder, code)
        export_model(folder / "models", lab.organization_id)
        _fill(lab)
        yield lab


def _seed(environment: Environment, client: TestClient, services: Services, folder: Path, code: str) -> Laboratory:
    tests = [*seeding.example_tests(), _restricted()]
    wanted = seeding.NewOrganization(
        code=code, name="Nidan Test Laboratory", tests=tests,
        analysers=[
            seeding.NewAnalyser(
                "BS-1", "Chemistry analyser", "mindray_bs", CHANNEL, {test.code: test.unit for test in tests}
            )
        ],
        controls=[
            seeding.Control("BS-1", MATERIAL, LOT, level, test.code, Decimal(100 * level), Decimal(1))
            for test in tests for level in LEVELS
        ],
    )  # fmt: skip
    seeded = seeding.seed(environment.system, folder / "keys", wanted)
    tokens = {name: _sign_in(client, code, name, seeded.secrets) for name, *_ in seeding.STAFF}
    tokens["gateway"] = (seeded.secrets / "gateway.key").read_text().strip()
    caller = SystemCaller(database=environment.app, organization_id=seeded.organization_id)
    with transaction(caller) as session:
        analyser = equipment.by_channel(session, {CHANNEL})[CHANNEL]
        centre = next(site for site in sites(session) if site.kind is SiteKind.COLLECTION_CENTRE)
        users = {name: identity.user_named(session, name).id for name in tokens}
    return Laboratory(
        environment=environment, client=client, services=services, organization_id=seeded.organization_id, code=code,
        site_id=seeded.site_id, centre_id=centre.id, tokens=tokens, secrets=seeded.secrets, analyser=analyser,
        definitions={test.code: test for test in [*tests, _unapproved()]}, users=users,
    )  # fmt: skip


def _fill(lab: Laboratory) -> None:
    """The unapproved test, controls that are in control, and the pathologist's signature."""
    with lab.session("pathologist") as session:
        catalogue.add_version(session, _unapproved())
        equipment.map_code(
            session, lab.analyser, UNAPPROVED, test_code=UNAPPROVED, unit_sent=lab.definitions[UNAPPROVED].unit
        )
        lab._targets(session, lab.analyser, UNAPPROVED)
    lab.control(0.1, *lab.definitions)
    sign(lab)


def sign(lab: Laboratory, *, tests: list[str] | None = None, **changed: Any) -> UUID:
    """The pathologist's standing authorisation, of every test that may have one, for a month."""
    wanted: dict[str, Any] = {
        "rules_version": RULES_VERSION, "model_version": MODEL_VERSION,
        "test_codes": tests or [code for code in lab.definitions if code != RESTRICTED],
        "valid_to": utc_now() + timedelta(days=30),
    }  # fmt: skip
    with lab.session("pathologist") as session:
        return results.sign_standing_authorisation(session, **(wanted | changed)).id


def export_model(folder: Path, organization_id: UUID, *, version: str = MODEL_VERSION) -> Path:
    """A small real model of this organization in `folder`."""
    return register.export(
        folder / str(organization_id) / NAME, _candidate(str(organization_id)), name=NAME, version=version, metrics={}, approved_by="director",  # noqa: E501
        data_version="made up",
    )  # fmt: skip


@cache
def _candidate(organization_id: str) -> train.Candidate:
    made = train.develop(made_up_results(1_500).with_columns(organization_id=pl.lit(organization_id)))
    return replace(made, decision=replace(made.decision, threshold=TOLERATED_RISK))


def _dashboard_key(folder: Path) -> Path:
    file = folder / "dashboard.pem"
    file.write_bytes(OKPKey.generate_key("Ed25519").as_pem(private=True))
    return file


def _sign_in(client: TestClient, code: str, username: str, secrets: Path) -> str:
    body = {
        "organization": code,
        "username": username,
        "password": (secrets / f"{username}.password").read_text().strip(),
    }
    answer = client.post("/v1/sessions", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def _like_glucose(**changed: Any) -> DefinitionIn:
    glucose = next(test for test in seeding.example_tests() if test.code == "GLU")
    return DefinitionIn.model_validate(glucose.model_dump() | changed)


def _restricted() -> DefinitionIn:
    return _like_glucose(code=RESTRICTED, name="HIV 1+2 antibody", loinc="75622-1", is_restricted=True)


def _unapproved() -> DefinitionIn:
    return _like_glucose(code=UNAPPROVED, name="A test that nobody approved", loinc="1558-6")


def today() -> date:
    """The laboratory's day."""
    return business_day(utc_now())
