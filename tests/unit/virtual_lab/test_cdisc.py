import gzip
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from ingest.virtual_lab import cdisc, cdisc_reference
from ingest.virtual_lab.cdisc import FlagRow
from lims_api.catalogue.schemas import DefinitionIn
from lims_api.patients.age import BirthPrecision, age_days
from lims_api.results.flags import flag

LB = """\
USUBJID,LBSEQ,LBTESTCD,LBORRES,LBORRESU,LBORNRLO,LBORNRHI,LBNRIND,LBDTC
S-1,1,SODIUM,139,mEq/L,132.0,147.0,NORMAL,2013-01-02T09:30
S-1,2,SODIUM,149,mEq/L,132.0,147.0,HIGH,2013-02-02T09:30
S-1,3,BILI,<0.2,mg/dL,0.2,1.2,,2013-02-02T09:30
S-2,1,SODIUM,134,mEq/L,135.0,145.0,LOW,2013-03-04
S-2,2,SODIUM,140,mEq/L,135.0,145.0,NORMAL,2013-04-04T10:00
S-2,3,COLOR,N,NO UNITS,,,NORMAL,2013-04-04T10:00
S-2,4,ALB,3.9,g/dL,3.3,4.9,NORMAL,2013-04-04T10:00
"""
DM = "USUBJID,BRTHDTC,SEX\nS-1,1960-05,M\nS-2,1940,M\nS-3,1950-01-01,F\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, text in (("lb", LB), ("dm", DM)):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt") as file:
            file.write(text)
    return tmp_path


@pytest.fixture
def study(shared: Path) -> Path:
    return shared / "data" / "lab_datasets" / "cdisc_pilot"


def test_all_but_the_live_draw_is_history_with_the_files_own_limits(source: Path, tmp_path: Path) -> None:
    counts = cdisc.write_history(source, tmp_path / "out")

    results = pl.read_parquet(tmp_path / "out" / "results.parquet")
    assert (counts.patients, counts.results, results.height) == (2, 4, 4)
    first, second, colour, albumin = results.rows(named=True)
    assert (first["uhid"], first["test_code"], first["value"], first["unit"]) == ("S-1", "NA", 139.0, "meq/L")
    assert (first["reference_low"], first["reference_high"], first["critical_high"]) == (132.0, 147.0, None)
    assert first["collected_at"] == datetime(2013, 1, 2, 9, 30, tzinfo=UTC)
    assert second["collected_at"] == datetime(2013, 3, 4, 12, 0, tzinfo=UTC)
    assert all(row["occurred_at"] < row["available_at"] < row["authorised_at"] for row in (first, second))
    assert (colour["value_text"], colour["value"], colour["is_judged"]) == ("N", None, False)
    assert (albumin["value"], albumin["is_judged"], albumin["order_number"]) == (3.9, True, colour["order_number"])
    assert (albumin["specimen_type"], colour["specimen_type"]) == ("Serum", "Urine")
    assert albumin["accession_number"] != colour["accession_number"]
    assert pl.read_parquet(tmp_path / "out" / "controls.parquet").height == 0


def test_the_whole_file_has_the_live_draw_too_and_judges_no_comparator(source: Path, tmp_path: Path) -> None:
    assert cdisc.write_history(source, tmp_path / "out", whole=True).results == 7

    results = pl.read_parquet(tmp_path / "out" / "results.parquet")
    (below,) = results.filter(pl.col("test_code") == "TBIL").rows(named=True)
    assert (below["value_text"], below["value"], below["comparator"], below["is_judged"]) == ("<0.2", 0.2, "<", False)


def test_subjects_have_no_persons_name_and_a_birth_date_of_their_precision(source: Path) -> None:
    found = cdisc.patient_rows(cdisc.read(source)).rows(named=True)

    assert [row["name"] for row in found] == ["Subject S-1", "Subject S-2"]
    assert [(row["birth_on"], row["birth_precision"]) for row in found] == [
        (date(1960, 5, 1), "month"),
        (date(1940, 1, 1), "year"),
    ]


def test_the_last_draw_is_sent_as_it_stands_in_the_file(source: Path) -> None:
    first, second = cdisc.live_draws(source)

    assert [(one.test_code, one.sent.text, one.sent.unit, one.flag) for one in first.results] == [
        ("NA", "149", "meq/L", "H"),
        ("TBIL", "<0.2", "mg/dL", None),
    ]
    assert [(one.test_code, one.sent.text, one.flag) for one in second.results] == [("NA", "140", "N")]


def test_flag_rows_are_those_with_a_number_and_limits(source: Path) -> None:
    found = cdisc.flag_rows(source)

    assert len(found) == 6
    assert (
        FlagRow(test="BILI", value_text="<0.2", comparator="<", value=0.2, low=0.2, high=1.2, indicator=None) in found
    )
    assert {row.test for row in found} == {"SODIUM", "BILI", "ALB"}


def test_limits_that_change_with_age_become_bands(source: Path) -> None:
    definitions = {test["code"]: test for test in cdisc_reference.reference_catalogue(source)}

    sodium = definitions["NA"]
    assert definitions.keys() == {"ALB", "NA", "TBIL", "U_COLOR"}
    assert definitions["U_COLOR"]["intervals"] == []
    assert (sodium["unit"], sodium["decimals"], sodium["loinc"]) == ("meq/L", 0, "2951-2")
    assert DefinitionIn.model_validate(sodium).is_example
    younger, older = sodium["intervals"]
    assert (younger["low"], younger["age_from_days"], older["low"], older["high"]) == (132.0, 0, 135.0, 145.0)
    assert 53 * 365 < younger["age_to_days"] == older["age_from_days"] < 74 * 365


def test_an_unknown_unit_is_not_guessed(source: Path) -> None:
    with gzip.open(source / "lb.csv.gz", "wt") as file:
        file.write(LB.replace("mg/dL", "mg/mL"))

    with pytest.raises(KeyError, match="mg/mL"):
        cdisc.read(source)


def test_an_unknown_test_is_not_guessed(source: Path) -> None:
    with gzip.open(source / "lb.csv.gz", "wt") as file:
        file.write(LB.replace("COLOR", "COLOUR"))

    with pytest.raises(KeyError, match="COLOUR"):
        cdisc.read(source)


def test_the_studys_tests_have_codes_and_loinc_codes_of_their_own() -> None:
    tests = cdisc.tests()

    assert len(tests) == len({test.code for test in tests}) == len({test.loinc for test in tests}) == 45
    assert [test.code for test in tests if not _check_digit_fits(test.loinc)] == []
    live = {"GLU", "CREA", "BUN", "NA", "K", "CL", "ALT", "AST", "ALP", "TBIL"}
    assert {test.code for test in tests if test.live} == live


def _check_digit_fits(loinc: str) -> bool:
    """Modulus 10, double-add-double from the right, as Regenstrief describes it."""
    number, _, digit = loinc.partition("-")
    doubled = (int(one) * (2 - place % 2) for place, one in enumerate(reversed(number)))
    return (sum(n // 10 + n % 10 for n in doubled) + int(digit)) % 10 == 0


def test_every_flag_of_the_study_follows_from_value_and_limits(study: Path) -> None:
    def ours(row: FlagRow) -> str | None:
        value, low, high = (Decimal(str(number)) for number in (row.value, row.low, row.high))
        return flag(value, row.comparator, low, high)

    rows = cdisc.flag_rows(study)
    stated = [row for row in rows if row.indicator is not None]

    assert len(stated) > 30_000
    assert [row for row in stated if ours(row) != cdisc.FLAGS[str(row.indicator)]] == []
    unstated = Counter((row.test, row.value_text, ours(row)) for row in rows if row.indicator is None)
    assert unstated == {("BILI", "<0.2", "L"): 3}


def test_the_study_becomes_a_history_and_one_live_draw_a_patient(study: Path, tmp_path: Path) -> None:
    counts = cdisc.write_history(study, tmp_path)
    draws = cdisc.live_draws(study)

    rows = cdisc.read(study)
    assert counts.results + sum(len(draw.results) for draw in draws) == rows.height
    assert len(draws) == counts.patients == rows["USUBJID"].n_unique()
    last = {draw.person.uhid: draw.collected_at for draw in draws}
    results = pl.read_parquet(tmp_path / "results.parquet")
    live = {test.code for test in cdisc.tests() if test.live}
    earlier = results.filter(pl.col("test_code").is_in(live))
    assert all(row["collected_at"] < last[row["uhid"]] for row in earlier.iter_rows(named=True))


def test_the_derived_catalogue_contradicts_few_rows_of_the_study(study: Path) -> None:
    bands = cdisc_reference.reference_bands(study)

    apart = {(band.test_code, band.sex, band.high): band.rows_elsewhere for band in bands if band.rows_elsewhere}
    assert apart == {
        ("ALB", "female", 4.6): 12, ("ALB", "male", 4.6): 1, ("ALT", "female", 32.0): 12, ("ALT", "male", 35.0): 1,
        ("PLT", "female", 394.0): 1,
    }  # fmt: skip
    limited = cdisc.read(study).drop_nulls(["low", "high"])
    assert sum(band.rows + band.rows_elsewhere for band in bands) == limited.height


def test_every_live_flag_of_the_study_follows_from_the_derived_catalogue(study: Path) -> None:
    catalogue = {test["code"]: test["intervals"] for test in cdisc_reference.reference_catalogue(study)}

    wrong, judged = [], 0
    for draw in cdisc.live_draws(study):
        age = age_days(draw.person.birth_on, BirthPrecision(draw.person.birth_precision), draw.collected_at.date())
        assert age is not None
        for one in draw.results:
            (row,) = [
                row
                for row in catalogue[one.test_code]
                if row["sex"] == draw.person.sex and row["age_from_days"] <= age < row["age_to_days"]
            ]
            if one.flag is not None:
                judged += 1
                value, low, high = (Decimal(str(number)) for number in (one.sent.text, row["low"], row["high"]))
                wrong += [one] if flag(value, None, low, high) != one.flag else []
    assert wrong == []
    assert judged > 1300
