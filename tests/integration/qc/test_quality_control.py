"""Controls: recorded from messages or by hand, judged, and asked before any release."""

from __future__ import annotations

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from ingest.contract import MessageKind, Observation
from lims_api.core.clock import utc_now
from lims_api.core.permissions import Permission
from lims_api.equipment.models import Analyser
from lims_api.qc import service as qc
from lims_api.results.autoverification import Reason
from tests.factories import organization, staff
from tests.integration.laboratory import LOT, MATERIAL, Laboratory, control_message, group, message


@pytest.fixture
def analyser(lab: Laboratory) -> Analyser:
    """One with targets (mean 100 times the level, SD 1) of which no control was ever measured."""
    return lab.another_analyser("GLU")


def reasons(lab: Laboratory, analyser: Analyser) -> list[str]:
    return lab.measure(channel=analyser.channel).reasons()


def controls(lab: Laboratory, analyser: Analyser) -> list[tuple[Any, ...]]:
    """`(level, value, status, violated)`, oldest first."""
    return lab.rows(
        "select level, value, status, violated from lims.control_results where analyser_id = %s order by id",
        analyser.id,
    )


@pytest.mark.req("12.7")
def test_without_any_control_nothing_is_released(lab: Laboratory, analyser: Analyser) -> None:
    before = reasons(lab, analyser)
    lab.control(analyser=analyser)

    assert (before, reasons(lab, analyser)) == ([Reason.QC_MISSING], [])


@pytest.mark.req("12.7")
@pytest.mark.parametrize("hours", [24.1, 48, 24 * 25])
def test_a_control_of_yesterday_no_longer_vouches(lab: Laboratory, analyser: Analyser, hours: float) -> None:
    lab.control(analyser=analyser, at=utc_now() - timedelta(hours=hours))
    before = reasons(lab, analyser)
    lab.control(analyser=analyser, at=utc_now() - timedelta(hours=23))

    assert (before, reasons(lab, analyser)) == ([Reason.QC_STALE], [])


@pytest.mark.req("12.7")
def test_a_control_of_a_month_ago_is_none(lab: Laboratory, analyser: Analyser) -> None:
    lab.control(analyser=analyser, at=utc_now() - timedelta(days=31))

    assert reasons(lab, analyser) == [Reason.QC_MISSING]


def test_a_control_dated_in_the_future_does_not_vouch(lab: Laboratory, analyser: Analyser) -> None:
    lab.control(analyser=analyser, at=utc_now() + timedelta(hours=1))

    assert reasons(lab, analyser) == [Reason.QC_MISSING]


@pytest.mark.req("12.7")
@pytest.mark.parametrize("z", [3.1, -3.1])
def test_out_of_control_holds_until_the_control_is_measured_again(
    lab: Laboratory, analyser: Analyser, z: float
) -> None:
    lab.control(z, analyser=analyser, levels=(1,))
    during = reasons(lab, analyser)
    lab.control(analyser=analyser, at=utc_now() - timedelta(minutes=1))

    assert (during, reasons(lab, analyser)) == ([Reason.QC_OUT_OF_CONTROL], [])


@pytest.mark.req("12.7")
def test_another_level_does_not_speak_for_the_one_that_was_rejected(lab: Laboratory, analyser: Analyser) -> None:
    now = utc_now()
    lab.control(analyser=analyser, levels=(1,), at=now - timedelta(minutes=30))
    lab.control(4, analyser=analyser, levels=(2,), at=now - timedelta(minutes=29))
    lab.control(analyser=analyser, levels=(1,), at=now - timedelta(minutes=10))
    one_level = reasons(lab, analyser)
    lab.control(analyser=analyser, levels=(2,), at=now - timedelta(minutes=5))

    assert (one_level, reasons(lab, analyser)) == ([Reason.QC_OUT_OF_CONTROL], [])


def test_a_warning_holds_nothing(lab: Laboratory, analyser: Analyser) -> None:
    lab.control(2.5, analyser=analyser, levels=(1,))

    assert controls(lab, analyser) == [(1, Decimal("102.5"), "warning", ["1-2s (run)"])]
    assert reasons(lab, analyser) == []


def test_one_analysers_controls_do_not_vouch_for_another(lab: Laboratory, analyser: Analyser) -> None:
    lab.control(4, analyser=analyser)

    assert reasons(lab, lab.analyser) == []


@pytest.mark.parametrize(
    ("earlier", "newest", "violated"),
    [
        ((), (2.1, 2.2), "2-2s (levels)"),
        ((), (2.1, -2.1), "R-4s (run)"),
        ((2.1, 0), (2.1, 0), "2-2s (level 1)"),
        ((0, -2.1), (0, -2.1), "2-2s (level 2)"),
        ((), (3.1, 0), "1-3s (run)"),
    ],
)
def test_each_rejecting_rule_holds(
    lab: Laboratory, analyser: Analyser, earlier: tuple[float, ...], newest: tuple[float, float], violated: str
) -> None:
    now = utc_now()
    for run, at in ((earlier, now - timedelta(hours=8)), (newest, now - timedelta(minutes=10))):
        for level, z in enumerate(run, start=1):
            lab.control(z, analyser=analyser, levels=(level,), at=at + timedelta(minutes=level))

    rejected = [row for row in controls(lab, analyser) if row[2] == "rejected"]
    assert violated in rejected[-1][3]
    assert reasons(lab, analyser) == [Reason.QC_OUT_OF_CONTROL]


@pytest.mark.parametrize(
    ("earlier", "newest"),
    [((2.1, 0), (0, -2.1)), ((2.1, 0), (-2.1, 0)), ((2.1, 0), (0, 2.1))],
)
def test_one_run_and_the_next_break_no_rule_of_one_run(
    lab: Laboratory, analyser: Analyser, earlier: tuple[float, float], newest: tuple[float, float]
) -> None:
    """R-4s and 2-2s across levels look within one run; a run ends when a level is measured again, or after 45 minutes."""  # noqa: E501
    now = utc_now()
    for run, at in ((earlier, now - timedelta(hours=8)), (newest, now - timedelta(minutes=10))):
        for level, z in enumerate(run, start=1):
            lab.control(z, analyser=analyser, levels=(level,), at=at + timedelta(minutes=level))

    assert "rejected" not in {row[2] for row in controls(lab, analyser)}
    assert reasons(lab, analyser) == []


def test_who_went_out_of_control_is_told(lab: Laboratory, analyser: Analyser) -> None:
    lab.control(4, analyser=analyser, levels=(1,))

    told = lab.rows(
        "select payload from lims.outbox where name = 'qc.out_of_control' and payload::jsonb->>'analyser_id' = %s",
        str(analyser.id),
    )
    assert [json.loads(row[0]) for row in told] == [{"analyser_id": str(analyser.id), "test_code": "GLU"}]


# from the analyser


def of_control(lab: Laboratory, measured: str = "100.2", /, **changed: Any) -> Observation:
    return lab.observation("GLU", measured, **changed)


def test_a_control_message_is_recorded_as_a_control_and_nothing_else(lab: Laboratory, analyser: Analyser) -> None:
    sent = control_message([of_control(lab)], channel=analyser.channel)

    receipt = lab.deliver(sent).receipts[0]

    assert (receipt.outcome, receipt.recorded, receipt.parked) == ("recorded", 1, 0)
    ((value, z, mean, sd, unit, message_id),) = lab.rows(
        "select value, z, mean, sd, unit, message_id from lims.control_results where analyser_id = %s", analyser.id
    )
    assert (value, round(z, 3), mean, sd, unit) == (Decimal("100.2"), 0.2, 100, 1, "mg/dL")
    ((body, kind),) = lab.rows("select body_sha256, kind from lims.instrument_messages where id = %s", message_id)
    assert (body, kind) == (sent.body_sha256, "control")
    assert lab.rows("select count(*) from lims.results where analyser_id = %s", analyser.id) == [(0,)]
    assert reasons(lab, analyser) == []


def test_two_levels_of_one_message_are_one_run(lab: Laboratory, analyser: Analyser) -> None:
    levels = tuple(
        part for level, value in ((1, "102.2"), (2, "197.8"))
        for part in control_message([of_control(lab, value)], level=level).groups
    )  # fmt: skip

    lab.deliver(message(None, [], groups=levels, kind=MessageKind.CONTROL, channel=analyser.channel))

    assert controls(lab, analyser) == [
        (1, Decimal("102.2"), "warning", ["1-2s (run)"]),
        (2, Decimal("197.8"), "rejected", ["1-2s (run)", "R-4s (run)"]),
    ]
    assert reasons(lab, analyser) == [Reason.QC_OUT_OF_CONTROL]


def test_a_test_measured_twice_in_one_control_is_recorded_twice(lab: Laboratory, analyser: Analyser) -> None:
    sent = control_message([of_control(lab, "104"), of_control(lab, "100.4", sequence=2)], channel=analyser.channel)

    receipt = lab.deliver(sent).receipts[0]

    assert (receipt.recorded, receipt.parked) == (2, 0)
    assert [row[1:3] for row in controls(lab, analyser)] == [
        (Decimal(104), "rejected"),
        (Decimal("100.4"), "accepted"),
    ]


def test_the_same_control_in_another_message_is_not_measured_twice(lab: Laboratory, analyser: Analyser) -> None:
    """Else 2-2s within the level would see one value as two."""
    observed = of_control(lab, "102.1")

    receipts = [
        lab.deliver(control_message([observed], channel=analyser.channel)).receipts[0] for _ in range(2)
    ]  # fmt: skip

    assert [(receipt.outcome, receipt.recorded) for receipt in receipts] == [("recorded", 1)] * 2
    assert controls(lab, analyser) == [(1, Decimal("102.1"), "warning", ["1-2s (run)"])]


@pytest.mark.parametrize(
    ("changed", "observed", "reason"),
    [
        ({"lot": "L-2"}, {}, "no_control_target"),
        ({"material": "Another serum"}, {}, "no_control_target"),
        ({"level": 3}, {}, "no_control_target"),
        ({}, {"code": "XYZ"}, "unknown_code"),
        ({}, {"unit": "mmol/L"}, "not_numeric"),
        ({}, {"value_text": "low", "value": None}, "not_numeric"),
        ({}, {"value_text": ">400", "value": Decimal(400), "comparator": ">"}, "not_numeric"),
    ],
)
def test_a_control_that_cannot_be_judged_is_parked(
    lab: Laboratory, analyser: Analyser, changed: dict[str, Any], observed: dict[str, Any], reason: str
) -> None:
    sent = control_message([of_control(lab, **observed)], channel=analyser.channel, **changed)

    receipt = lab.deliver(sent).receipts[0]

    assert (receipt.outcome, receipt.recorded, receipt.parked) == ("parked", 0, 1)
    assert lab.parked()[-1]["reason"] == reason
    assert controls(lab, analyser) == []


def test_a_control_without_its_name_is_parked(lab: Laboratory, analyser: Analyser) -> None:
    part = group(None, [of_control(lab)])

    lab.deliver(message(None, [], groups=(part,), kind=MessageKind.CONTROL, channel=analyser.channel))

    assert lab.parked()[-1]["reason"] == "no_control_target"


def test_an_expired_lot_does_not_vouch(lab: Laboratory, analyser: Analyser) -> None:
    with lab.session("pathologist") as session:
        lot = qc.add_lot(session, MATERIAL, f"OLD-{analyser.code}", expires_on=date(2020, 1, 31))
        qc.set_target(
            session, lot, 1, "GLU", analyser_id=analyser.id, mean=Decimal(100), sd=Decimal(1), source="EXAMPLE"
        )

    receipt = lab.deliver(
        control_message([of_control(lab)], lot=f"OLD-{analyser.code}", channel=analyser.channel)
    ).receipts[0]

    assert (receipt.outcome, controls(lab, analyser)) == ("parked", [])


# by hand


def typed(analyser: Analyser, **changed: Any) -> dict[str, Any]:
    return {
        "analyser_id": str(analyser.id), "material": MATERIAL, "lot_number": LOT, "level": 1, "test_code": "GLU",
        "value": "100.5", "unit": "mg/dL", "occurred_at": utc_now().isoformat(),
    } | changed  # fmt: skip


def test_a_control_typed_by_hand_is_judged_like_any(lab: Laboratory, analyser: Analyser) -> None:
    answer = lab.call("POST", "/v1/controls", typed(analyser, value="103.5"), by="technician")

    assert answer.status_code == 201
    assert answer.json().items() >= {"z": 3.5, "status": "rejected", "violated": ["1-2s (run)", "1-3s (run)"]}.items()
    assert reasons(lab, analyser) == [Reason.QC_OUT_OF_CONTROL]
    ((op, after, _, actor),) = lab.ledger("control_results", answer.json()["id"])
    assert (op, after["value"], actor) == ("I", 103.5, lab.users["technician"])


@pytest.mark.parametrize(
    ("changed", "status", "slug"),
    [
        ({"lot_number": "L-2"}, 404, "no-control-target"),
        ({"material": "Another serum"}, 404, "no-control-target"),
        ({"level": 3}, 404, "no-control-target"),
        ({"unit": "mmol/L"}, 404, "no-control-target"),
        ({"test_code": "K"}, 404, "no-control-target"),
        ({"test_code": "NONE"}, 404, "unknown-test"),
        ({"analyser_id": str(UUID(int=7))}, 404, "no-control-target"),
        ({"level": 4}, 422, "invalid-request"),
        ({"value": "NaN"}, 422, "invalid-request"),
        ({"occurred_at": "2026-01-05T10:00:00"}, 422, "invalid-request"),
    ],
)
def test_a_control_that_fits_no_target_is_refused(
    lab: Laboratory, analyser: Analyser, changed: dict[str, Any], status: int, slug: str
) -> None:
    answer = lab.call("POST", "/v1/controls", typed(analyser, **changed), by="technician")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (status, slug)
    assert controls(lab, analyser) == []


def test_recording_a_control_needs_its_permission(lab: Laboratory, analyser: Analyser) -> None:
    answer = lab.call("POST", "/v1/controls", typed(analyser), by="pathologist")

    assert (answer.status_code, answer.json()["permission"]) == (403, "control:record")
    assert controls(lab, analyser) == []


def test_another_laboratorys_analyser_has_no_target(lab: Laboratory, analyser: Analyser) -> None:
    stranger = staff(lab.environment, organization(lab.environment), [Permission.CONTROL_RECORD])

    answer = lab.call("POST", "/v1/controls", typed(analyser), by=stranger)

    assert answer.status_code == 404
    assert controls(lab, analyser) == []
