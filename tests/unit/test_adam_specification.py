"""The one specification: what it refuses, what the dictionary says, and that files are the same bytes twice."""

import pandas as pd
import pytest
from pandera.errors import SchemaErrors

from sorafenib_rfa.adam import build_adam, data_dictionary, dictionary_markdown
from sorafenib_rfa.adam.schemas import DTYPES, conform, dataset, validate
from sorafenib_rfa.config.load import read_yaml
from sorafenib_rfa.config.load import validate as load_validated
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.config.paths import ADAM_DATASETS
from sorafenib_rfa.files import read_tables, write_table
from tests.unit.adam_cohorts import ROOT, Study, day, plan, subject


@pytest.fixture(scope="module")
def study():
    study = Study(
        extra_variables={"mvi": {"label": "Microvascular invasion", "kind": "categorical", "levels": ["Y", "N"]}}
    )
    study.patient("01", start=10, clear=(30,), positive={90: "LTP"}, mvi="Y", largest_tumour_cm=2.1)
    study.patient("02", death=200, clear=(30,))
    study.add("labs", subject_id="01", sample_date=day(-1), test="BILI", value=17.1 / 3, uln=21.0)
    study.add("labs", subject_id="01", sample_date=day(-1), test="ALB", value=41.0)
    study.add("adverse_events", subject_id="01", term="Fatigue", grade=2, start_date=day(20))
    return study


@pytest.fixture(scope="module")
def adam(study):
    return build_adam(study.tables(), study.cohort, plan())


def failures(name, frame, study):
    with pytest.raises(SchemaErrors) as error:
        validate(name, frame, study.cohort.config)
    return error.value.failure_cases


@pytest.mark.parametrize(
    ("name", "column", "value", "check"),
    [
        ("adsl", "SEX", "male", "isin"),
        ("adsl", "ALBIGR", 4, "isin"),
        ("adsl", "MVI", "maybe", "isin"),
        ("adsl", "SITEID", None, "not_nullable"),
        ("adtte", "PARAMCD", "PFS", "isin"),
        ("adtte", "AVAL", 0.0, "AVAL above zero"),
        ("adtte", "AVAL", None, "not_nullable"),
        ("adtte", "EVNTCD", 9, "isin"),
        ("adtte", "CNSDTDSC", None, "CNSDTDSC if and only if censored"),
        ("adae", "ATOXGR", 0, "isin"),
        ("adae", "TRTEMFL", None, "not_nullable"),
        ("adae", "PREFL", "Y", "PREFL never with TRTEMFL"),
        ("adae", "CQ01NAM", None, "CQ01NAM if and only if AEOIFL"),
        ("adlb", "PARAMCD", "HGB", "isin"),
        ("adex", "EXDURD", 0, "EXDURD at least one day"),
        ("adrecur", "EVTYPE", "surgery", "isin"),
        ("adproc", "CLAVIEN", "III", "isin"),
        ("adproc", "COMPDAY", -1, "COMPDAY not before the session"),
        ("adproc", "COMP30FL", "Y", "COMP30FL only with COMPFL"),
        ("adtum", "AVAL", 0.0, "AVAL above zero"),
        ("adtum", "CNSR", None, "LTPFL, AVAL, CNSR and EVNTCD together"),
        ("adtum", "LTPALLOC", None, "LTPFL = Y if and only if EVNTCD, LTPDT and LTPALLOC say so"),
        ("adtum", "ANLFL", "N", "followed only from the index session of analysed patients"),
    ],
)
def test_a_value_outside_the_specification_is_refused(adam, study, name, column, value, check):
    frame = adam[name].copy()
    row = frame.index[frame["CNSR"].eq(1)][0] if name == "adtte" else frame.index[0]
    frame.loc[row, column] = value
    found = failures(name, frame, study)
    assert found["check"].str.contains(check).any(), found


def test_an_interval_that_ends_before_it_begins_is_refused(adam, study):
    frame = adam["adtte"].copy()
    row = frame.index[frame["INTHI"].notna()][0]
    frame.loc[row, "INTLO"] = frame.loc[row, "INTHI"] + 1
    assert failures("adtte", frame, study)["check"].str.contains("INTLO not above INTHI").any()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda frame: frame.drop(columns="AGE"),
        lambda frame: frame.assign(BMI=25.0),
        lambda frame: frame[frame.columns[::-1]],
        lambda frame: frame.astype({"AGE": "float64"}),
        lambda frame: frame.astype({"TRTSDT": "string"}),
        lambda frame: pd.concat([frame, frame], ignore_index=True),
    ],
    ids=["column missing", "column too many", "other order", "other type", "date as text", "patient twice"],
)
def test_a_frame_of_another_shape_is_refused(adam, study, spoil):
    failures("adsl", spoil(adam["adsl"]), study)


def test_all_departures_are_told_at_once(adam, study):
    frame = adam["adsl"].copy()
    frame.loc[0, "SEX"], frame.loc[0, "ECOG"], frame.loc[0, "DTHFL"] = "male", 7, None
    assert {"SEX", "ECOG", "DTHFL"} <= set(failures("adsl", frame, study)["column"])


def test_a_derivation_that_forgets_a_column_cannot_be_conformed(adam, study):
    with pytest.raises(KeyError, match="RECDT"):
        conform("adsl", adam["adsl"].drop(columns="RECDT"), study.cohort.config)


def test_the_dictionary_covers_every_column_of_every_dataset_and_nothing_else(adam, study):
    frame = data_dictionary(study.cohort.config)
    told = {name.lower(): rows["variable"].tolist() for name, rows in frame.groupby("dataset")}
    assert told == {name: data.columns.tolist() for name, data in adam.items()}
    for name, data in adam.items():
        types = frame[frame["dataset"] == name.upper()].set_index("variable")["type"]
        assert {column: DTYPES[kind] for column, kind in types.items()} == data.dtypes.astype(str).to_dict()
    assert frame[["label", "derivation", "source", "dataset_label"]].ne("").all().all()
    assert frame[["label", "derivation", "source", "dataset_label"]].notna().all().all()
    extra = frame[frame["variable"] == "MVI"].iloc[0]
    assert (extra["label"], extra["codelist"], extra["source"]) == ("Microvascular invasion", "Y | N", "patients.mvi")


def test_one_name_means_one_thing_in_all_datasets(study):
    frame = data_dictionary(study.cohort.config)
    shared = frame[frame["variable"].isin(["STUDYID", "USUBJID", "SITEID", "TRT01A", "EXPOSFL", "LMFL", "LMTRT"])]
    meanings = shared.groupby("variable")[["label", "type", "derivation"]].nunique()
    assert (meanings == 1).all().all()
    assert len(shared) > 20


DATED = {"ADAE", "ADLB", "ADEX", "ADRECUR", "ADPROC", "ADTUM"}


@pytest.mark.parametrize("name", ["synthetic", "hcc_resection"])
def test_the_dictionary_of_each_shipped_cohort(name):
    path = ROOT / "config" / "cohorts" / name / "cohort.yaml"
    config = load_validated(CohortConfig, read_yaml(path, path.name), path.name)
    frame = data_dictionary(config)
    expected = {"ADSL", "ADTTE"} | (DATED if config.offers("treatment") else set())
    assert set(frame["dataset"]) == expected
    adsl = frame[frame["dataset"] == "ADSL"]["variable"].tolist()
    assert [source.upper() for source in config.extra_variables] == adsl[len(adsl) - len(config.extra_variables) :]
    for covariate in plan().covariates.values():
        assert covariate.variable in adsl


def test_the_dictionary_for_people(study):
    text = dictionary_markdown(study.cohort.config)
    assert "synthetic data" in text
    assert text.count("\n## ") == 2 + len(DATED)
    assert "<" not in text  # would be taken for a tag and vanish
    tables = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = {line.replace("\\|", "").count("|") for line in tables}
    assert unescaped == {7}
    variables = data_dictionary(study.cohort.config)
    assert len(tables) == len(variables) + 2 * (2 + len(DATED))


def test_two_builds_write_the_same_bytes_and_the_types_come_back(adam, study, tmp_path):
    again = build_adam(study.tables(), study.cohort, plan())
    for name in adam:
        write_table(adam[name], tmp_path / "one" / name)
        write_table(again[name], tmp_path / "two" / name)
        for suffix in ("parquet", "csv"):
            first, second = (tmp_path / run / f"{name}.{suffix}" for run in ("one", "two"))
            assert first.read_bytes() == second.read_bytes(), f"{name}.{suffix}"
    back = read_tables([str(tmp_path / "one" / f"{name}.parquet") for name in adam])
    for name, frame in adam.items():
        pd.testing.assert_frame_equal(conform(name, back[name], study.cohort.config), frame)


def test_the_order_of_input_rows_does_not_matter(study, adam):
    shuffled = {name: frame.iloc[::-1].reset_index(drop=True) for name, frame in study.tables().items()}
    again = build_adam(shuffled, study.cohort, plan())
    for name, frame in adam.items():
        pd.testing.assert_frame_equal(again[name], frame)


def test_csv_has_iso_dates_and_numbers_that_read_back_exactly(adam, tmp_path):
    write_table(adam["adsl"], tmp_path / "adsl")
    text = pd.read_csv(tmp_path / "adsl.csv", dtype="string", keep_default_na=False).set_index("USUBJID")
    row = text.loc[subject("01")]
    assert row["TRTSDT"] == "2015-01-01"
    assert row["RECDT"] == "2015-04-01"
    assert row["DTHDT"] == ""
    assert float(row["BILIBL"]) == 17.1 / 3
    assert row["EXDELAY"] == "10"
    assert row["TUMSIZE"] == "2.1"


def test_each_dataset_declares_its_keys_among_its_columns(study):
    for name in ADAM_DATASETS:
        spec = dataset(name, study.cohort.config)
        assert set(spec.keys) <= set(spec.columns)
        assert len(spec.columns) == len(set(spec.columns))
