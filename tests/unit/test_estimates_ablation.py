"""Ablation: complications by session and patient, technique efficacy, local progression by tumour.

By hand on a few patients, and recounted by SQL (DuckDB) from random ADPROC and ADTUM.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from estimates_data import PLAN, SCALES, estimated, plan, small_adam, value

from sorafenib_rfa.adam.schemas import empty
from sorafenib_rfa.clinical.complications import SCALES as CLASSIFICATIONS
from sorafenib_rfa.config.load import load_study
from sorafenib_rfa.estimates.ablation import estimate_ablation
from sorafenib_rfa.estimates.parts import complication_scales
from sorafenib_rfa.stats.proportions import clopper_pearson, clustered_proportion
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH
from tests.unit.adam_cohorts import ROOT
from tests.unit.adam_cohorts import cohort as adam_cohort

DAY = pd.Timedelta(days=1)
RFA = pd.Timestamp("2016-01-01")
CODES = {key: scale.codes for key, scale in CLASSIFICATIONS.items()}


def adam_of(adsl_rows: list[dict], sessions: list[dict], tumours: list[dict]) -> dict[str, pd.DataFrame]:
    """Return ADSL, ADPROC and ADTUM of rows that say what differs; no adverse events, no drug."""
    config = adam_cohort().config

    def frame(name: str, rows: list[dict]) -> pd.DataFrame:
        none = empty(name, config)
        made = pd.DataFrame(rows).reindex(columns=list(none.columns))
        return made.astype({c: t for c, t in none.dtypes.items() if c in made})

    adsl = frame("adsl", [{"TRTSDT": RFA, "LSTALVDT": RFA + 1000 * DAY, "LMFL": "Y", **row} for row in adsl_rows])
    known = adsl.set_index("USUBJID")[["SITEID", "EXPOSFL"]].to_dict("index")
    number = iter(range(2, 10_000))

    def row_of(row: dict) -> dict:
        inherited = known.get(row["USUBJID"], {})
        return {**inherited, "SRCFILE": "rfa.csv", "SRCROW": next(number), "PROCDT": RFA, "INDEXFL": "Y", **row}

    session = {"PROCSEQ": 1, "COMPFL": "N", "COMP30FL": "N", "NTUM": 1}
    tumour = {"PROCSEQ": 1, "TUMNO": 1, "ANLFL": "Y", "TECHEFFL": "Y", "DIAM": 2.0}
    return {
        "adsl": adsl,
        "adproc": frame("adproc", [row_of(session | row) for row in sessions]),
        "adtum": frame("adtum", [row_of(tumour | row) for row in tumours]),
        "adae": empty("adae", config),
        "adex": empty("adex", config),
    }


def estimate(adam, scales=None, the_plan=PLAN):
    own = {key: adam[key] for key in ("adsl", "adproc", "adtum", "adae", "adex")}
    return estimate_ablation(
        **own, complication_scales=scales or {}, plan=the_plan, cohort_name="synthetic", record="r"
    )


def values(made, *ids):
    found = made.ard.set_index("ard_id")["value"]
    return [found[f"ablation.{identifier}"] for identifier in ids]


@pytest.fixture(scope="module")
def complications():
    """Three patients, two centres; one complication is graded, one undated and ungraded, one late."""
    early = {"COMPFL": "Y", "COMP30FL": "Y"}
    adam = adam_of(
        [
            {"USUBJID": "A", "SITEID": "s1", "EXPOSFL": "Y", "DTHDT": RFA + 215 * DAY, "LSTALVDT": RFA + 215 * DAY},
            {"USUBJID": "B", "SITEID": "s2", "EXPOSFL": "N", "LSTALVDT": RFA + 12 * DAY},
            {"USUBJID": "C", "SITEID": "s1", "EXPOSFL": "N"},
        ],
        [
            {"USUBJID": "A", **early, "COMPTERM": "Burn", "COMPDAY": 2, "CLAVIEN": "IIIa", "CIRSE": 3},
            {"USUBJID": "A", "PROCSEQ": 2, "INDEXFL": "N", "PROCDT": RFA + 200 * DAY},
            {"USUBJID": "B", "COMPFL": "Y", "COMPTERM": "Biloma", "COMPDAY": 45, "CLAVIEN": "II"},
            {"USUBJID": "C", **early, "COMPTERM": "Pain"},
        ],
        [{"USUBJID": name} for name in "ABC"],
    )
    return estimate(adam, {"clavien_dindo": ["s1", "s2"], "cirse": ["s1"], "sir": []})


def test_complications_by_session_count_those_within_the_days_and_the_undated(complications):
    ids = ("session.total", "session.any.n", "session.undated.n", "session.late.n", "session_repeat.any.n")
    assert values(complications, *ids) == [4, 2, 1, 1, 0]
    assert values(complications, "session.any.percent", "session_index.any.percent") == [50, pytest.approx(200 / 3)]
    # the row of raw files that is named is the session's own
    rows = complications.members.set_index("ard_id")["src_row"]
    assert rows["ablation.session.any.n"].tolist() == [2, 5]


def test_each_classification_has_the_sessions_of_its_centres_as_denominator(complications):
    ids = ("clavien_dindo_session.total", "cirse_session.total", "sir_session.total")
    assert values(complications, *ids) == [4, 3, 0]
    ids = ("clavien_dindo_session.major.n", "clavien_dindo_session.minor.n", "clavien_dindo_session.ungraded.n")
    assert values(complications, *ids) == [1, 0, 1]  # the late one, of grade II, is none within the days
    ids = ("cirse_session.grade_3_6.percent", "cirse_session.grade.3.n", "cirse_session.grade.2.n")
    assert values(complications, *ids) == [pytest.approx(100 / 3), 1, 0]
    nobody = value(complications.ard, "ablation.sir_session.severe_or_worse.percent")
    assert np.isnan(nobody["value"])
    assert nobody["method"].startswith("not estimable")


def test_complications_by_patient_are_the_worst_of_all_sessions(complications):
    ids = ("patient.total", "patient.exposed.any.n", "patient.unexposed.any.n", "patient.unexposed.late.n")
    assert values(complications, *ids) == [3, 1, 1, 1]
    ids = ("cirse_patient.total", "cirse_patient.exposed.grade_3_6.n", "cirse_patient.unexposed.total")
    assert values(complications, *ids) == [2, 1, 1]


def test_terms_are_those_of_the_complications_within_the_days(complications):
    assert values(complications, "term_session.term.burn.n", "term_session.term.pain.n") == [1, 1]
    assert not complications.ard["ard_id"].str.contains("biloma").any()


def test_deaths_within_the_days_are_of_sessions_followed_so_long(complications):
    ids = ("mortality_session.followed.n", "mortality_session.unknown.n", "mortality_session.died.n")
    assert values(complications, *ids) == [3, 1, 1]  # B was last seen 12 days after; A died 15 days after the repeat
    assert values(complications, "mortality_session_repeat.died.percent") == [100]


def test_terms_in_another_script_have_ids_too():
    adam = adam_of(
        [{"USUBJID": name, "SITEID": "s1", "EXPOSFL": "N"} for name in "AB"],
        [
            {"USUBJID": "A", "COMPFL": "Y", "COMP30FL": "Y", "COMPTERM": "疼痛"},
            {"USUBJID": "B", "COMPFL": "Y", "COMP30FL": "Y", "COMPTERM": "発熱"},
        ],
        [],
    )
    terms = estimate(adam).ard
    terms = terms[terms["ard_id"].str.fullmatch(r"ablation\.term_session\.term\..*\.n")]
    assert terms["value"].tolist() == [1, 1]
    assert terms["variable"].str.contains("疼痛|発熱").all()


def test_the_interval_of_sessions_takes_those_of_a_patient_together():
    """The package's own interval of the same rows; what it is worth is shown against R in tests/reference."""
    adam, parts = estimated()
    ard = parts["ablation"].ard
    from ablation_data import adproc

    sessions = adproc(adam["adsl"])
    found = clustered_proportion(sessions["COMP30FL"] == "Y", sessions["USUBJID"].to_numpy(dtype=object))
    row = value(ard, "ablation.session.any.percent")
    assert (row["value"], row["ci_low"], row["ci_high"]) == pytest.approx(
        (100 * found.estimate, 100 * found.ci_low, 100 * found.ci_high)
    )
    assert "Korn and Graubard" in row["method"]
    index = value(ard, "ablation.session_index.any.percent")  # one session a patient: exact
    exact = clopper_pearson(int(value(ard, "ablation.session_index.any.n")["value"]), len(adam["adsl"]))
    assert index["ci_high"] == pytest.approx(100 * exact.ci_high)


# --- technique efficacy -----------------------------------------------------------------------------------------


def efficacy(**more):
    """A: two tumours complete; B (not analysed): one of two incomplete; C (not analysed): not recorded."""
    adam = adam_of(
        [{"USUBJID": "A", "SITEID": "s1", "EXPOSFL": "N"}],
        [{"USUBJID": "A"}],
        [
            {"USUBJID": "A", "DIAM": 2.0},
            {"USUBJID": "A", "TUMNO": 2, "DIAM": 3.1},
            {"USUBJID": "A", "PROCSEQ": 2, "INDEXFL": "N", "TECHEFFL": "N", "DIAM": None},
            {"USUBJID": "B", "ANLFL": "N", "TECHEFFL": "N", "DIAM": 2.1},
            {"USUBJID": "B", "ANLFL": "N", "TUMNO": 2, "DIAM": 3.0},
            {"USUBJID": "C", "ANLFL": "N", "TECHEFFL": None, "DIAM": 1.0},
        ],
    )
    return estimate(adam, **more)


def test_technique_efficacy_counts_patients_who_are_not_analysed():
    made = efficacy()
    ids = ("treated.n", "recorded.n", "complete.n", "incomplete.n", "not_recorded.n", "complete.percent")
    assert values(made, *(f"efficacy_tumour.{name}" for name in ids)) == [5, 4, 3, 1, 1, 75]
    assert values(made, *(f"efficacy_patient.{name}" for name in ids)) == [3, 2, 1, 1, 1, 50]
    assert values(made, "efficacy_tumour_worst_case.complete.percent") == [60]
    assert values(made, "efficacy_tumour_repeat.complete.percent") == [0]
    assert set(made.members.loc[made.members["ard_id"] == "ablation.efficacy_patient.treated.n", "USUBJID"]) == set(
        "ABC"
    )


def test_size_classes_include_their_upper_bound():
    made = efficacy()
    ids = [f"efficacy_tumour_{size}.treated.n" for size in ("le_2_cm", "gt_2_to_3_cm", "gt_3_cm", "size_unknown")]
    assert values(made, *ids) == [2, 2, 1, 0]


def test_where_all_are_complete_a_patient_counts_once():
    """The interval of three patients, not of six tumours, all of them complete."""
    adam = adam_of(
        [{"USUBJID": name, "SITEID": "s1", "EXPOSFL": "N"} for name in "ABC"],
        [],
        [{"USUBJID": name, "TUMNO": number} for name in "ABC" for number in (1, 2)],
    )
    row = value(estimate(adam).ard, "ablation.efficacy_tumour.complete.percent")
    assert (row["value"], row["ci_high"]) == (100, 100)
    assert row["ci_low"] == pytest.approx(100 * clopper_pearson(3, 3).ci_low)


# --- local tumour progression -----------------------------------------------------------------------------------


def followed(name: str, number: int, months: float, code: int, **more: object) -> dict:
    how = {"LTPFL": "Y", "LTPALLOC": "recorded"} if code == 1 else {"LTPFL": "N"}
    return {"USUBJID": name, "TUMNO": number, "AVAL": months, "EVNTCD": code, "CNSR": int(code != 1), **how, **more}


@pytest.fixture(scope="module")
def progression():
    """Four patients, six tumours; of B's two it is not recorded which progressed."""
    arms = {"A": "RFA + sorafenib", "B": "RFA + sorafenib", "C": "RFA alone", "D": "RFA alone"}
    adam = adam_of(
        [
            {"USUBJID": name, "SITEID": "s1", "EXPOSFL": "N", "LMTRT": arm, "LMFL": "Y" if name != "D" else "N"}
            for name, arm in arms.items()
        ],
        [],
        [
            followed("A", 1, 6, 1),
            followed("A", 2, 30, 0),
            followed("B", 1, 9, 1, LTPALLOC="not recorded"),
            followed("B", 2, 20, 2),
            followed("C", 1, 15, 2),
            followed("D", 1, 40, 0),
        ],
    )
    return estimate(adam)


def test_local_progression_by_hand_with_death_competing(progression):
    """6 tumours: 1/6 at month 6, 1/6 at month 9 (5 at risk of 5/6); deaths 1/6 each at 15 and 20."""
    assert values(progression, "ltp.n", "ltp.patients", "ltp.events", "ltp.death.n") == [6, 4, 2, 2]
    assert values(progression, "ltp.ltp.m12.incidence", "ltp.ltp.m36.incidence") == pytest.approx([100 / 3, 100 / 3])
    assert values(progression, "ltp.death.m12.incidence", "ltp.death.m24.incidence") == pytest.approx([0, 100 / 3])
    how = ("recorded", "only_tumour", "not_recorded")
    assert values(progression, *(f"ltp.allocation.{key}.n" for key in how)) == [1, 0, 1]


def test_where_it_is_not_recorded_which_progressed_all_do_in_the_sensitivity_analysis(progression):
    """B's second tumour progresses at month 9 too, and no longer dies without."""
    ids = ("ltp_all_tumours.events", "ltp_all_tumours.death.n", "ltp_all_tumours.ltp.m12.incidence")
    assert values(progression, *ids) == pytest.approx([3, 1, 50])


def test_by_arm_the_patients_are_those_at_the_landmark(progression):
    ids = ("ltp_landmark.sorafenib.n", "ltp_landmark.control.n", "ltp_landmark.sorafenib.ltp.m12.incidence")
    assert values(progression, *ids) == pytest.approx([4, 1, 50])
    curve = progression.curves["ltp_tumour"]
    starts = curve.groupby(["panel", "group"])["time_months"].min()
    assert starts["all", "overall"] == 0
    assert starts["landmark", "sorafenib"] == pytest.approx(PLAN.landmark_day / DAYS_PER_MONTH)


# --- recounted ----------------------------------------------------------------------------------------------------


def random_adam(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    names = [f"P{number:02d}" for number in range(int(rng.integers(1, 40)))]
    alive = rng.random(len(names)) < 0.7
    people, sessions, tumours = [], [], []
    for name, lives in zip(names, alive, strict=True):
        last = RFA + int(rng.integers(5, 900)) * DAY
        analysed = rng.random() < 0.85
        site = str(rng.choice(["s1", "s2", "s3"]))
        if analysed:
            people.append(
                {
                    "USUBJID": name,
                    "SITEID": site,
                    "EXPOSFL": str(rng.choice(["Y", "N"])),
                    "DTHDT": None if lives else last,
                    "LSTALVDT": last,
                    "LMFL": str(rng.choice(["Y", "N"])),
                    "LMTRT": str(rng.choice(["RFA + sorafenib", "RFA alone"])),
                }
            )
        for sequence in range(1, int(rng.integers(2, 5))):
            date = RFA + (sequence - 1) * int(rng.integers(1, 60)) * DAY
            where = {"USUBJID": name, "PROCSEQ": sequence, "PROCDT": date, "INDEXFL": "Y" if sequence == 1 else "N"}
            if analysed:
                sessions.append(where | random_complication(rng))
            for number in range(1, int(rng.integers(2, 4))):
                tumours.append(
                    where
                    | {
                        "TUMNO": number,
                        "ANLFL": "Y" if analysed else "N",
                        "SITEID": site,
                        "DIAM": rng.choice([None, 1.0, 2.0, 2.5, 3.0, 4.0]),
                        "TECHEFFL": rng.choice(["Y", "Y", "N", None]),
                    }
                    | (
                        followed(name, number, float(rng.integers(1, 50)), int(rng.integers(0, 3)))
                        if analysed and sequence == 1
                        else {}
                    )
                )
    return adam_of(people, sessions, tumours)


def random_complication(rng: np.random.Generator) -> dict:
    if rng.random() < 0.6:
        return {}
    day = rng.choice([None, 0, 10, 30, 31, 90])
    return {
        "COMPFL": "Y",
        "COMPDAY": day,
        "COMP30FL": "Y" if day is None or day <= 30 else "N",
        "COMPTERM": rng.choice(["Pain", "Burn", None]),
        **{
            scale.column: None if rng.random() < 0.2 else rng.choice(CODES[key])
            for key, scale in CLASSIFICATIONS.items()
        },
    }


RANDOM_SCALES = {"clavien_dindo": ["s1", "s2", "s3"], "cirse": ["s1", "s2"], "sir": ["s3"]}


@pytest.mark.parametrize("seed", range(12))
def test_counts_are_those_of_sql(seed):
    rng = np.random.default_rng(seed)
    adam = random_adam(rng)
    found = estimate(adam, RANDOM_SCALES).ard.set_index("ard_id")["value"]
    with duckdb.connect() as db:
        for name in ("adsl", "adproc", "adtum"):
            db.register(name, pa.Table.from_pandas(adam[name], preserve_index=False))
        expected = dict(sql_counts(db))
    assert len(expected) > 60
    wrong = {
        key: (found.get(f"ablation.{key}"), count)
        for key, count in expected.items()
        if found[f"ablation.{key}"] != count
    }
    assert not wrong


def sql_counts(db):
    """Yield (id, count), each by one query."""

    def ask(identifier, query):
        return identifier, db.execute(query).fetchone()[0]

    early = "COMP30FL = 'Y'"
    for unit, where in (("session", "true"), ("session_index", "INDEXFL = 'Y'"), ("session_repeat", "INDEXFL = 'N'")):
        yield ask(f"{unit}.total", f"SELECT count(*) FROM adproc WHERE {where}")
        yield ask(f"{unit}.any.n", f"SELECT count(*) FROM adproc WHERE {where} AND {early}")
        yield ask(f"{unit}.undated.n", f"SELECT count(*) FROM adproc WHERE {where} AND {early} AND COMPDAY IS NULL")
        yield ask(f"{unit}.late.n", f"SELECT count(*) FROM adproc WHERE {where} AND COMPFL = 'Y' AND COMPDAY > 30")
        yield ask(
            f"mortality_{unit}.died.n",
            f"""SELECT count(*) FROM adproc JOIN adsl USING (USUBJID)
            WHERE {where.replace("INDEXFL", "adproc.INDEXFL")}
            AND date_diff('day', PROCDT, DTHDT) BETWEEN 0 AND 30""",
        )
    for key, scale in CLASSIFICATIONS.items():
        sites = ", ".join(f"'{site}'" for site in RANDOM_SCALES[key])
        inside = f"SITEID IN ({sites})"
        yield ask(f"{key}_session.total", f"SELECT count(*) FROM adproc WHERE {inside}")
        yield ask(f"{key}_patient.total", f"SELECT count(DISTINCT USUBJID) FROM adproc WHERE {inside}")
        graded = f"{inside} AND {early} AND {scale.column}"
        yield ask(f"{key}_session.ungraded.n", f"SELECT count(*) FROM adproc WHERE {graded} IS NULL")
        severe = scale.codes[scale.codes.index(scale.severe_from) :]
        listed = ", ".join(f"'{code}'" for code in severe)
        worst = f"CAST({scale.column} AS VARCHAR) IN ({listed})"
        yield ask(
            f"{key}_session.{scale.severe_key}.n", f"SELECT count(*) FROM adproc WHERE {inside} AND {early} AND {worst}"
        )
        for group, flag in (("exposed", "Y"), ("unexposed", "N")):
            yield ask(
                f"{key}_patient.{group}.{scale.severe_key}.n",
                f"""SELECT count(DISTINCT USUBJID) FROM adproc
                WHERE {inside} AND {early} AND {worst} AND EXPOSFL = '{flag}'""",
            )
        for position, code in enumerate(scale.codes):
            order = ", ".join(f"'{other}'" for other in scale.codes)
            yield ask(
                f"{key}_patient.grade.{code.lower()}.n",
                f"""SELECT count(*) FROM (SELECT max(list_position([{order}], CAST({scale.column} AS VARCHAR))) AS worst
                FROM adproc WHERE {inside} AND {early} GROUP BY USUBJID) WHERE worst = {position + 1}""",
            )
    index = "INDEXFL = 'Y'"
    yield ask("efficacy_tumour.treated.n", f"SELECT count(*) FROM adtum WHERE {index}")
    yield ask("efficacy_tumour.complete.n", f"SELECT count(*) FROM adtum WHERE {index} AND TECHEFFL = 'Y'")
    yield ask("efficacy_tumour.not_recorded.n", f"SELECT count(*) FROM adtum WHERE {index} AND TECHEFFL IS NULL")
    yield ask(
        "efficacy_tumour_gt_2_to_3_cm.incomplete.n",
        f"SELECT count(*) FROM adtum WHERE {index} AND TECHEFFL = 'N' AND DIAM > 2 AND DIAM <= 3",
    )
    yield ask("efficacy_tumour_repeat.recorded.n", "SELECT count(TECHEFFL) FROM adtum WHERE INDEXFL = 'N'")
    yield ask(
        "efficacy_patient.complete.n",
        f"""SELECT count(*) FROM (SELECT USUBJID FROM adtum WHERE {index} GROUP BY USUBJID
        HAVING count(*) = count(*) FILTER (TECHEFFL = 'Y'))""",
    )
    followed_up = "INDEXFL = 'Y' AND ANLFL = 'Y'"
    yield ask("ltp.n", f"SELECT count(*) FROM adtum WHERE {followed_up}")
    yield ask("ltp.events", f"SELECT count(*) FROM adtum WHERE {followed_up} AND LTPFL = 'Y'")
    for group, arm in (("sorafenib", "RFA + sorafenib"), ("control", "RFA alone")):
        yield ask(
            f"ltp_landmark.{group}.n",
            f"""SELECT count(*) FROM adtum JOIN adsl USING (USUBJID) WHERE INDEXFL = 'Y' AND ANLFL = 'Y'
            AND LMFL = 'Y' AND LMTRT = '{arm}' AND AVAL > {PLAN.landmark_day / DAYS_PER_MONTH}""",
        )


# --- odd data ---------------------------------------------------------------------------------------------------


def test_a_cohort_without_any_session_or_tumour_says_why_there_is_nothing():
    made = estimate(adam_of([{"USUBJID": "A", "SITEID": "s1", "EXPOSFL": "N"}], [], []), {"cirse": ["s1"]})
    percents = made.ard[made.ard["stat_name"].isin(["percent", "incidence"])]
    percents = percents[~percents["ard_id"].str.startswith("ablation.related_event.unexposed.")]  # none, of one patient
    assert len(percents) > 100
    assert percents["value"].isna().all()
    assert percents["method"].str.startswith("not estimable").all()
    assert (made.ard.loc[made.ard["unit"] == "count", "value"] == 0).all()


def test_one_patient_with_two_sessions_has_a_percentage_without_an_interval():
    sessions = [{"USUBJID": "A", "COMPFL": "Y", "COMP30FL": "Y"}, {"USUBJID": "A", "PROCSEQ": 2, "INDEXFL": "N"}]
    adam = adam_of([{"USUBJID": "A", "SITEID": "s1", "EXPOSFL": "Y"}], sessions, [followed("A", 1, 5, 1)])
    row = value(estimate(adam).ard, "ablation.session.any.percent")
    assert row["value"] == 50
    assert np.isnan(row["ci_low"])
    assert "one cluster" in row["method"]


def test_no_complication_at_all_and_small_groups_are_described_not_compared():
    people = [{"USUBJID": f"P{n}", "SITEID": "s1", "EXPOSFL": "Y" if n < 3 else "N"} for n in range(6)]
    adam = adam_of(people, [{"USUBJID": f"P{n}"} for n in range(6)], [])
    ard = estimate(adam, {"clavien_dindo": ["s1"]}).ard
    assert value(ard, "ablation.session.any.percent")["value"] == 0
    assert value(ard, "ablation.session.any.percent")["ci_high"] == pytest.approx(100 * clopper_pearson(0, 6).ci_high)
    contrast = value(ard, "ablation.clavien_dindo_patient.contrast.major.risk_difference")
    assert contrast["method"].startswith("not tested: fewer than")


def test_a_narrower_window_of_the_plan_is_said():
    adam = adam_of([{"USUBJID": "A", "SITEID": "s1", "EXPOSFL": "N"}], [{"USUBJID": "A"}], [])
    row = value(estimate(adam, the_plan=plan(rfa_complication_days=7)).ard, "ablation.session.any.n")
    assert "within 7 days" in row["method"]


def test_rfa_related_events_are_those_within_the_plans_days_of_a_session():
    adam = small_adam()
    adam["adae"]["ARELRFA"] = "Y"
    sites = adam["adsl"]["SITEID"]
    own = adam_of([], [{"USUBJID": name, "SITEID": site} for name, site in zip("ABC", sites, strict=True)], [])
    ard = estimate({**own, **adam}).ard
    # day 29 after the session, and day 49
    assert value(ard, "ablation.related_event.exposed.any.n")["value"] == 1
    assert value(ard, "ablation.related_event.unexposed.any.n")["value"] == 0


def test_a_site_records_what_its_export_has_a_column_for():
    study = load_study(ROOT, {"cohort": "synthetic", "seed": 1, "publication_date": "2024-01-01"})
    sites = study.cohorts["synthetic"].sites
    scales = complication_scales(sites)
    assert set(scales) == set(CODES) == set(SCALES)
    for scale, names in scales.items():
        mapped = {name for name, site in sites.items() if f"complication_{scale}" in site.tables["ablations"].columns}
        assert set(names) == mapped
    assert 0 < len(scales["cirse"]) < len(sites)
