"""Every link of a result holds; what never had a link says why; and what happened to it changes nothing of that."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import polars as pl
import pytest
from pydantic_core import from_json
from rich.progress import Progress
from sqlalchemy import select

from ingest.decode import decode
from ingest.instruments.shipped import load
from ingest.received import INDIA, Received
from lims_api.cli.importing import Importer
from lims_api.core.clock import utc_now
from lims_api.core.db import SystemCaller, transaction
from lims_api.core.errors import LimsError
from lims_api.equipment import service as equipment
from lims_api.equipment.models import CodeMap
from lims_api.lineage import service as lineage
from lims_api.lineage.chain import Finding, Step
from lims_api.lineage.errors import NothingToTrace
from lims_api.patients.erasure import erase_patient
from tests.factories import organization
from tests.integration.lineage.conftest import Bench, differing, found, link

pytestmark = pytest.mark.xdist_group("lineage")
ORIGIN = {"transmission", "message", "record", "observation", "code_map"}


@pytest.mark.req("11.1")
def test_a_released_result_re_derives_from_its_bytes_to_its_mart_row(bench: Bench) -> None:
    measured = bench.measure("GLU", "K")
    bench.lab.settle()
    bench.model()

    chain = bench.chain(measured.line()["id"])

    assert differing(chain) == set(), chain.links
    assert found(chain, Finding.ABSENT) == {"versions"}
    assert link(chain, Step.RECORD).facts["text"].startswith("OBX|1|NM|GLU||85|mg/dL")
    assert len(link(chain, Step.REPORT).facts["reports"]) == 1
    assert link(chain, Step.MODEL).facts["threshold"] is not None
    assert link(chain, Step.RELEASE).facts["automatic"] is True


@pytest.mark.req("11.1")
def test_the_record_shown_is_its_own_and_no_link_names_the_person(bench: Bench) -> None:
    measured = bench.measure("GLU", "K")

    chain = bench.chain(measured.line("K")["id"], copies=False)

    assert "|K|" in link(chain, Step.RECORD).facts["text"]
    assert measured.drawn.person.uhid not in repr(chain)
    assert measured.drawn.person.name.split()[0] not in repr(chain)


@pytest.mark.parametrize(
    ("value", "held_by"),
    [("", "not_numeric"), ("<5", "censored"), ("900", "critical_value"), ("130", "outside_reference_interval")],
)
def test_a_held_result_is_judged_again_and_held_again(bench: Bench, value: str, held_by: str) -> None:
    measured = bench.measure(values={"GLU": value})

    chain = bench.chain(measured.line()["id"], copies=False)

    assert held_by in measured.reasons()
    assert differing(chain) == set(), chain.links
    assert held_by in link(chain, Step.GATES).facts["judged_again"]


def test_the_delta_check_is_made_again_with_the_value_of_that_day(bench: Bench) -> None:
    first = bench.measure()
    second = bench.measure(values={"GLU": "99"}, drawn=bench.lab.draw(person=first.drawn.person))
    bench.measure(values={"GLU": "80"}, drawn=bench.lab.draw(person=first.drawn.person))  # and a later one is not that

    chain = bench.chain(second.line()["id"], copies=False)

    ((evidence,),) = bench.lab.rows("select evidence from lims.results where id = %s", second.line()["id"])
    assert from_json(evidence)["delta_percent"] == 16.5
    assert "delta_check" in link(chain, Step.GATES).facts["judged_again"]
    assert differing(chain) == set(), chain.links


def test_the_model_is_asked_again_with_the_panel_and_the_history_of_that_moment(bench: Bench) -> None:
    person = bench.lab.person()
    measured = [
        bench.measure(
            "GLU", "K", "CREA", values={"GLU": value}, drawn=bench.lab.draw("GLU", "K", "CREA", person=person)
        )
        for value in ("85", "130", "88", "94", "86", "91")
    ]
    held = measured[1].line()["id"]
    body = {"value_text": "92", "reason": "typing_error"}
    typed = bench.lab.post(f"/v1/results/{held}/correct", body, by="technician")["id"]
    measured.append(bench.measure("GLU", drawn=bench.lab.draw(person=person)))  # between typing and authorising
    bench.lab.post("/v1/results/authorise", {"result_ids": [typed]})
    measured.append(bench.measure("GLU", drawn=bench.lab.draw(person=person)))

    chains = bench.chains(held, *(one.line()["id"] for one in measured if one is not measured[1]), copies=False)

    assert [differing(chain) for chain in chains] == [set()] * 8, [chain.links[9] for chain in chains]
    assert {link(chain, Step.MODEL).finding for chain in chains} == {Finding.OK}
    assert len({link(chain, Step.MODEL).facts["risk"] for chain in chains}) == 8


def test_a_code_map_that_was_changed_since_is_read_as_it_was(bench: Bench) -> None:
    measured = bench.measure("ALT")
    with bench.lab.session("pathologist") as session:
        mapped = session.scalars(
            select(CodeMap).where(CodeMap.analyser_id == bench.lab.analyser.id, CodeMap.code == "ALT")
        ).one()
        mapped.factor = Decimal("2")
    try:
        chain = bench.chain(measured.line("ALT")["id"], copies=False)
        now = bench.measure("ALT")
        later = bench.chain(now.line("ALT")["id"], copies=False)
    finally:
        with bench.lab.session("pathologist") as session:
            session.get_one(CodeMap, (mapped.organization_id, mapped.id)).factor = Decimal("1")

    assert differing(chain) == differing(later) == set()
    assert (link(chain, Step.CODE_MAP).facts["factor"], link(later, Step.CODE_MAP).facts["factor"]) == (1, 2)
    assert link(chain, Step.CODE_MAP).facts["changed_since"] is True


def test_a_correction_and_what_it_replaces_are_told_apart(bench: Bench) -> None:
    measured = bench.measure()
    bench.lab.settle()
    first = measured.line()["id"]
    body = {"value_text": "92", "reason": "typing_error"}
    second = bench.lab.post(f"/v1/results/{first}/correct", body, by="technician")["id"]
    bench.lab.post("/v1/results/authorise", {"result_ids": [second]})
    bench.lab.settle()
    bench.model()

    old, new = bench.chains(first, second)

    assert differing(old) == differing(new) == set(), (old.links, new.links)
    assert found(old, Finding.ABSENT) == set()
    assert found(new, Finding.ABSENT) == ORIGIN | {"model"}
    assert str(link(old, Step.VERSIONS).facts["replaced_by"][0]) == second
    assert [one["report"][-2:] for one in link(old, Step.REPORT).facts["reports"]] == ["/1"]
    assert [one["report"][-2:] for one in link(new, Step.REPORT).facts["reports"]] == ["/2"]
    assert link(new, Step.TRANSMISSION).why == "entered by a person"


def test_what_is_not_captured_or_modelled_yet_is_absent_and_says_what_to_do(bench: Bench) -> None:
    bench.model()
    measured = bench.measure()

    chain = bench.chain(measured.line()["id"])

    assert found(chain, Finding.ABSENT) >= {"bronze", "mart", "report"}
    assert differing(chain) == set()
    assert "lims capture" in link(chain, Step.BRONZE).why


def test_a_mart_that_is_behind_is_compared_with_what_it_was_given(bench: Bench) -> None:
    held = bench.measure(values={"GLU": "130"})
    bench.model()
    bench.lab.post("/v1/results/authorise", {"result_ids": [held.line()["id"]]})

    chain = bench.chain(held.line()["id"])

    assert differing(chain) == set(), chain.links
    assert link(chain, Step.MART).facts["status"] == "held"
    assert link(chain, Step.MART).facts["changes_since"] == 1
    assert link(chain, Step.BRONZE).facts["not_yet_captured"] == 1


def test_an_erased_patients_bytes_open_for_nobody_and_that_is_no_difference(bench: Bench) -> None:
    measured = bench.measure()
    with bench.behind_the_ledger() as connection:  # long enough ago to be erased
        connection.execute(
            "update lims.organizations set retention_days = 0 where id = %s", (bench.lab.organization_id,)
        )
    caller = SystemCaller(database=bench.lab.environment.system, organization_id=bench.lab.organization_id)
    erase_patient(caller, measured.drawn.person.id)

    chain = bench.chain(
        bench.lab.rows("select id from lims.results where patient_id = %s", measured.drawn.person.id)[0][0],
        copies=False,
    )

    assert differing(chain) == set()
    assert "erased" in link(chain, Step.TRANSMISSION).why
    assert found(chain, Finding.OK) >= {"definition", "ledger"}


@pytest.mark.req("11.1")
def test_the_way_back_from_report_message_and_specimen(bench: Bench) -> None:
    measured = bench.measure("GLU", "K")
    bench.lab.settle()
    ids = sorted(measured.line(code)["id"] for code in ("GLU", "K"))
    ((report_sha256, code),) = bench.lab.rows(
        "select sha256, verification_code from lims.reports where order_id = %s", measured.drawn.order_id
    )
    ((message_sha256,),) = bench.lab.rows(
        "select body_sha256 from lims.instrument_messages where id ="
        " (select message_id from lims.results where id = %s)", ids[0],
    )  # fmt: skip

    with bench.lab.session() as session:
        ways = [
            lineage.behind_report(session, sha256=report_sha256),
            lineage.behind_report(session, code=code),
            lineage.behind_message(session, message_sha256),
            lineage.of_specimen(session, measured.drawn.accession),
        ]

    assert [sorted(map(str, way)) for way in ways] == [ids] * 4


def test_what_nobody_has_is_refused_with_what_to_do(bench: Bench) -> None:
    with bench.lab.session() as session:
        with pytest.raises(NothingToTrace, match="code"):
            lineage.behind_report(session, code="no-such-code-123")
        with pytest.raises(NothingToTrace, match="SHA-256"):
            lineage.behind_message(session, "0" * 64)
        with pytest.raises(LimsError):
            lineage.of_specimen(session, "26-999999")


@pytest.mark.req("11.1", "3.13.1")
def test_another_laboratorys_result_does_not_exist(bench: Bench) -> None:
    measured = bench.measure()
    stranger = organization(bench.lab.environment)
    with transaction(SystemCaller(database=bench.lab.environment.system, organization_id=stranger)) as session:
        assert lineage.recorded_since(session, None, after=None, limit=10) == []
        assert lineage.trace(session, [measured.line()["id"]], None, None) == []  # type: ignore[arg-type]


@pytest.mark.req("11.1", "4.3.1")
def test_tracing_is_reading_a_patients_data_and_is_logged(bench: Bench) -> None:
    measured = bench.measure()
    result_id = measured.line()["id"]

    bench.chain(result_id, copies=False)

    logged = bench.lab.rows(
        "select patient_id, subject_id from lims.access_log where action = 'result.traced' and patient_id = %s",
        measured.drawn.person.id,
    )
    assert [(str(patient), str(subject)) for patient, subject in logged] == [(str(measured.drawn.person.id), result_id)]


def test_imported_history_has_no_bytes_and_says_so(bench: Bench, tmp_path: Path) -> None:
    at = datetime(2025, 6, 1, 4, tzinfo=UTC)
    pl.DataFrame(
        {"uhid": ["OLD-0001"], "name": ["Ravi Example"], "phone": [None], "sex": ["male"],
         "birth_on": [date(1970, 1, 1)], "birth_precision": ["day"]},
        schema_overrides={"phone": pl.String},
    ).write_parquet(tmp_path / "patients.parquet")  # fmt: skip
    pl.DataFrame(
        {"uhid": ["OLD-0001"], "order_number": ["OLD-1"], "accession_number": ["OLD-1-1"], "test_code": ["GLU"],
         "unit": ["mg/dL"], "value_text": ["<5.0"], "value": [5.0], "comparator": ["<"], "reference_low": [60.0],
         "reference_high": [99.0], "critical_low": [40.0], "critical_high": [400.0], "analyser": ["BS-1"],
         "instrument_flags": [""], "ordered_at": [at], "collected_at": [at], "received_at": [at], "occurred_at": [at],
         "available_at": [at], "authorised_at": [at]},
    ).write_parquet(tmp_path / "results.parquet")  # fmt: skip
    keys, url = bench.lab.environment.keys, bench.lab.environment.url("lims_importer")
    Importer(url, keys, bench.lab.code, Progress()).run(tmp_path)
    ((result_id,),) = bench.lab.rows(
        "select id from lims.results where entry = 'import' and organization_id = %s", bench.lab.organization_id
    )
    bench.model()

    chain = bench.chain(result_id)

    assert differing(chain) == set(), chain.links
    assert found(chain, Finding.ABSENT) == ORIGIN | {"gates", "model", "release", "versions", "report"}
    assert link(chain, Step.TRANSMISSION).why.startswith("imported history")


@pytest.mark.req("11.1")
def test_an_astm_analysers_result_re_derives_like_any_other(bench: Bench) -> None:
    lab, drawn = bench.lab, bench.lab.draw("GLU", "K")
    with lab.session("pathologist") as session:
        analyser = equipment.add_analyser(
            session, code="ASTM-1", name="ASTM analyser", model="generic_astm", channel="astm-1", site_id=lab.site_id
        )
        for code in ("GLU", "K"):
            equipment.map_code(session, analyser, code, test_code=code, unit_sent=lab.definitions[code].unit)
    at = utc_now().astimezone(INDIA).strftime("%Y%m%d%H%M%S")
    body = "\r".join(
        [
            "H|\\^&|||Example^1", f"P|1|{drawn.person.uhid}", f"O|1|{drawn.accession}||^^^GLU\\^^^K|R",
            f"R|1|^^^GLU|85|mg/dL||N||F||||{at}", "C|1|I|a remark", f"R|2|^^^K|4.2|mmol/L||N||F||||{at}", "L|1|N", "",
        ]
    ).encode()  # fmt: skip
    sent = Received("astm-1", "1", sha256(body).hexdigest(), utc_now(), body)
    lab.deliver(decode(sent, load("generic_astm")))

    ((result_id,),) = lab.rows("select id from lims.results where analyser_id = %s and test_code = 'K'", analyser.id)
    chain = bench.chain(result_id, copies=False)

    assert differing(chain) == set(), chain.links
    assert link(chain, Step.RECORD).facts["text"].startswith("R|2|^^^K|4.2|")
    assert link(chain, Step.MESSAGE).facts["profile"] == "generic_astm"


def test_a_value_that_a_person_typed_says_so_and_re_derives_from_its_text(bench: Bench) -> None:
    drawn = bench.lab.draw("GLU")
    ((test_id,),) = bench.lab.rows("select id from lims.order_tests where order_id = %s", drawn.order_id)
    typed = [{"order_test_id": str(test_id), "value_text": "<30"}]
    body = {"values": typed, "measured_at": utc_now().isoformat()}
    entered = bench.lab.post("/v1/results", body, by="technician")["results"][0]["id"]

    chain = bench.chain(entered, copies=False)

    assert differing(chain) == set(), chain.links
    assert found(chain, Finding.ABSENT) >= ORIGIN
