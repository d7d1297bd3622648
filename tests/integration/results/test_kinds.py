"""Results that are words: always held, and authorised by a person when they are one of the test's values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lims_api.catalogue import service as catalogue
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.equipment import service as equipment
from lims_api.results.autoverification import Reason
from lims_api.results.errors import AuthorisationRefused
from tests.integration.laboratory import Answer, Laboratory, sign

NS1, SMEAR = "NS1", "SMEAR"
VALUES = ["Negative", "Positive"]


@pytest.fixture(scope="module")
def words(lab: Laboratory) -> Laboratory:
    """The laboratory with a coded and a text test, approved, mapped and in control."""
    like = lab.definitions["GLU"].model_dump() | {
        "unit": "", "intervals": [], "reportable_low": None, "reportable_high": None, "delta_limit_percent": None,
        "delta_window_days": None, "decimals": 0,
    }  # fmt: skip
    coded = DefinitionIn.model_validate(like | {"code": NS1, "kind": "coded", "allowed_values": VALUES})
    text = DefinitionIn.model_validate(like | {"code": SMEAR, "kind": "text"})
    with lab.session("pathologist") as session:
        catalogue.approve_all(session, catalogue.add_versions(session, [coded, text]))
        for test in (coded, text):
            equipment.map_code(session, lab.analyser, test.code, test_code=test.code, unit_sent="")
            lab._targets(session, lab.analyser, test.code)
    return replace(lab, definitions={**lab.definitions, NS1: coded, SMEAR: text})


def authorise(lab: Laboratory, result_id: str) -> Answer:
    return lab.call("POST", "/v1/results/authorise", {"result_ids": [result_id]})


def correct(lab: Laboratory, result_id: str, value: str) -> Answer:
    body = {"value_text": value, "reason": "transcription"}
    return lab.call("POST", f"/v1/results/{result_id}/correct", body, by="technician")


@pytest.mark.req("12.3")
@pytest.mark.parametrize(("code", "value"), [(NS1, "Positive"), (NS1, "1"), (SMEAR, "Normocytic"), (SMEAR, "85")])
def test_a_word_is_held_for_a_person_also_when_it_reads_as_a_number(words: Laboratory, code: str, value: str) -> None:
    measured = words.measure(code, values={code: value})

    assert Reason.NOT_NUMERIC in measured.reasons(code)
    assert (measured.line(code)["value"], measured.line(code)["value_text"]) == (None, value)


@pytest.mark.parametrize(("code", "value"), [(NS1, "Positive"), (SMEAR, "Normocytic, normochromic")])
def test_a_person_authorises_a_word_as_it_came(words: Laboratory, code: str, value: str) -> None:
    measured = words.measure(code, values={code: value})

    answer = authorise(words, measured.line(code)["id"])

    assert answer.status_code == 200
    line = measured.line(code)
    assert (line["status"], line["is_automatic"], line["value_text"], line["value"]) == (
        "authorised", False, value, None,
    )  # fmt: skip


@pytest.mark.parametrize("value", ["POSITIVE", "reactive", "1", ""])
def test_what_is_none_of_the_values_is_not_authorised_until_it_is_corrected(words: Laboratory, value: str) -> None:
    measured = words.measure(NS1, values={NS1: value})

    refused = authorise(words, measured.line(NS1)["id"])
    wrong = correct(words, measured.line(NS1)["id"], "Perhaps")
    right = correct(words, measured.line(NS1)["id"], "Positive")

    assert (refused.status_code, refused.json()["type"].rsplit("/", 1)[-1]) == (409, "not-authorisable")
    assert (wrong.status_code, wrong.json()["type"].rsplit("/", 1)[-1]) == (422, "value-not-allowed")
    assert "Negative, Positive" in wrong.json()["detail"]
    assert right.status_code == 201
    assert authorise(words, measured.line(NS1)["id"]).status_code == 200


def test_a_text_is_not_corrected_by_typing(words: Laboratory) -> None:
    """What a person types may name somebody, and a result's value is open."""
    measured = words.measure(SMEAR, values={SMEAR: "Normocytic"})

    answer = correct(words, measured.line(SMEAR)["id"], "Seen with Dr Example")

    assert (answer.status_code, answer.json()["type"].rsplit("/", 1)[-1]) == (422, "value-not-allowed")
    assert measured.line(SMEAR)["value_text"] == "Normocytic"


@pytest.mark.req("12.1")
@pytest.mark.parametrize("code", [NS1, SMEAR])
def test_no_standing_authorisation_names_a_test_of_words(words: Laboratory, code: str) -> None:
    with pytest.raises(AuthorisationRefused, match="never released automatically"):
        sign(words, tests=[code])


def test_a_number_is_still_no_word(words: Laboratory) -> None:
    measured = words.measure("GLU", values={"GLU": "high"})

    assert Reason.NOT_NUMERIC in measured.reasons("GLU")
    assert authorise(words, measured.line("GLU")["id"]).status_code == 409
