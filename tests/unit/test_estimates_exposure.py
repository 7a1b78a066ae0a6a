"""Exposure to the drug: by hand on a few courses, recounted by SQL, and a cohort in which duration does nothing."""

from __future__ import annotations

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from estimates_data import PLAN, estimated, make_adam, small_adam, value

from sorafenib_rfa.adam.schemas import empty
from sorafenib_rfa.estimates.exposure import SWIMMERS, courses_of, estimate_exposure
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB
from tests.unit.adam_cohorts import cohort as adam_cohort

ADAM, PARTS = estimated()
ARD = PARTS["exposure"].ard
CURVES = PARTS["exposure"].curves
DAY = pd.Timedelta(days=1)
RFA = pd.Timestamp("2016-01-01")


def estimate(adam):
    return estimate_exposure(
        adam["adex"], adam["adsl"], adam.get("adtte", ADAM["adtte"].iloc[:0]), adam["adae"], PLAN, "synthetic", "r"
    )


def dosing(rows: list[tuple]) -> pd.DataFrame:
    """Return ADEX of (patient, first day, last day or None, dose, reason), days since RFA."""
    none = empty("adex", adam_cohort().config)
    frame = pd.DataFrame(rows, columns=["USUBJID", "a", "b", "EXDOSE", "EXADJ"])
    frame["EXSTDT"] = [RFA + a * DAY for a in frame["a"]]
    frame["EXENDT"] = [pd.NaT if b is None or b != b else RFA + b * DAY for b in frame["b"]]
    frame["EXSEQ"] = frame.groupby("USUBJID").cumcount() + 1
    frame["EXDURD"] = (frame["EXENDT"] - frame["EXSTDT"]).dt.days + 1
    return frame.reindex(columns=list(none.columns)).astype(none.dtypes.to_dict())


def people(names: str, **columns: object) -> pd.DataFrame:
    """Return ADSL of exposed patients, last seen on day 400."""
    none = empty("adsl", adam_cohort().config)
    frame = pd.DataFrame({"USUBJID": list(names), "SITEID": "s1", "EXPOSFL": "Y", "TRT01A": SORAFENIB, "TRTSDT": RFA})
    frame = frame.assign(**{"LSTALVDT": RFA + 400 * DAY, **columns})
    return frame.reindex(columns=list(none.columns)).astype(none.dtypes.to_dict())


def described(adex: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    config = adam_cohort().config
    made = estimate({"adex": adex, "adsl": adsl, "adae": empty("adae", config), "adtte": empty("adtte", config)})
    return made.ard.set_index("ard_id")["value"]


def of(found: pd.Series, name: str) -> float:
    return found[f"exposure.dosing.exposed.{name}"]


# --- courses by hand -----------------------------------------------------------------------------------------------


def test_exposure_by_hand():
    made = estimate(small_adam())
    assert value(made.ard, "exposure.dosing.exposed.duration.median")["value"] == pytest.approx(31 / 30.4375)
    assert value(made.ard, "exposure.dose.exposed.daily_dose_mg.mean")["value"] == pytest.approx(600)
    assert value(made.ard, "exposure.dose.exposed.relative_dose_intensity.mean")["value"] == pytest.approx(75)
    assert value(made.ard, "exposure.dose.exposed.cumulative_dose_g.mean")["value"] == pytest.approx(31 * 0.6)
    assert value(made.ard, "exposure.dosing.exposed.stopped_adverse_event.n")["value"] == 1
    assert value(made.ard, "exposure.dosing.exposed.ongoing.n")["value"] == 0
    classes = ("ge_90", "ge_70_lt_90", "ge_50_lt_70", "lt_50")
    ids = [f"exposure.dose_class.exposed.relative_dose_intensity.{key}.n" for key in classes]
    assert [value(made.ard, identifier)["value"] for identifier in ids] == [1, 0, 1, 0]


def test_an_interruption_is_a_record_of_0_mg_or_a_gap_and_no_stop():
    """A: 10 days at 800, 5 days of 0 mg, 10 at 400. B: the same with a gap. Each takes 12 of 25 x 800 mg."""
    adex = dosing(
        [
            ("A", 10, 19, 800, "adverse_event"),
            ("A", 20, 24, 0, "planned"),
            ("A", 25, 34, 400, "patient_choice"),
            ("B", 10, 19, 800, "adverse_event"),
            ("B", 25, 34, 400, "patient_choice"),
        ]
    )
    found = described(adex, people("AB"))
    assert of(found, "interrupted.n") == of(found, "reduced.n") == 2
    assert of(found, "interrupted_adverse_event.n") == of(found, "reduced_adverse_event.n") == 2
    assert found["exposure.interruption.exposed.days.mean"] == 5
    assert of(found, "duration.median") == pytest.approx(25 / DAYS_PER_MONTH)
    assert found["exposure.dose.exposed.relative_dose_intensity.mean"] == pytest.approx(
        100 * (10 * 800 + 10 * 400) / (25 * 800)
    )
    assert of(found, "stopped_patient_choice.n") == 2


def test_a_last_interruption_is_a_stop_unless_it_goes_on():
    adex = dosing(
        [
            ("A", 0, 9, 800, "adverse_event"),
            ("A", 10, 29, 0, "planned"),
            ("B", 0, 9, 800, "adverse_event"),
            ("B", 10, None, 0, "ongoing"),
        ]
    )
    found = described(adex, people("AB"))
    assert (of(found, "stopped_adverse_event.n"), of(found, "ongoing.n"), of(found, "interrupted.n")) == (1, 1, 1)
    courses = courses_of(adex, people("AB")).patients["days"]
    assert courses.to_dict() == {"A": 10, "B": 401}


def test_drug_started_again_after_a_recurrence_is_no_part_of_the_course():
    """A pauses after the recurrence and starts again; B goes on across it at another dose."""
    adex = dosing(
        [
            ("A", 10, 100, 800, "progression"),
            ("A", 130, 200, 800, "progression"),
            ("B", 10, 100, 800, "progression"),
            ("B", 101, 200, 400, "adverse_event"),
        ]
    )
    adsl = people("AB", RECDT=RFA + 100 * DAY)
    courses = courses_of(adex, adsl).patients
    assert courses["days"].to_dict() == {"A": 91, "B": 191}
    assert courses["reason"].to_dict() == {"A": "progression", "B": "adverse_event"}


def test_where_intervals_overlap_the_later_record_holds():
    adex = dosing([("A", 0, 30, 800, "adverse_event"), ("A", 20, 39, 400, "planned")])
    found = described(adex, people("A"))
    assert found["exposure.dose.exposed.cumulative_dose_g.mean"] == pytest.approx((20 * 800 + 20 * 400) / 1000)
    assert of(found, "interrupted.n") == 0


def test_a_dose_that_is_not_recorded_leaves_the_patient_out_of_dose_but_not_of_duration():
    adex = dosing([("A", 0, 9, None, "planned"), ("B", 0, 9, 400, "planned")])
    found = described(adex, people("AB"))
    assert (of(found, "dose_unknown.n"), of(found, "with_dosing_records.n"), found["exposure.dose.exposed.n"]) == (
        1,
        2,
        1,
    )
    assert found["exposure.dose.exposed.daily_dose_mg.mean"] == 400
    assert of(found, "started_below_full.n") == 1


def test_a_death_without_a_reason_on_record_is_the_reason():
    adex = dosing([("A", 0, 50, 800, None), ("B", 0, 50, 800, None)])
    adsl = people("AB", DTHDT=pd.Series([RFA + 50 * DAY, pd.NaT]))
    found = described(adex, adsl)
    assert (of(found, "stopped_death.n"), of(found, "stopped_not_recorded.n")) == (1, 1)


def test_dose_by_period_counts_the_days_of_the_period():
    """Three months at 800 mg, then two months at 400: the first period is full, the second half."""
    first = round(3 * DAYS_PER_MONTH)
    adex = dosing([("A", 0, first - 1, 800, "adverse_event"), ("A", first, first + 60, 400, "planned")])
    found = described(adex, people("A"))
    assert found["exposure.dose_by_period.exposed.m0_3.mean"] == pytest.approx(100, abs=0.5)
    assert found["exposure.dose_by_period.exposed.m3_6.mean"] == pytest.approx(50, abs=0.5)
    assert found["exposure.dose_by_period.exposed.m6_9.n"] == 0
    assert np.isnan(found["exposure.dose_by_period.exposed.m6_9.mean"])


# --- recounted -----------------------------------------------------------------------------------------------------


def test_patients_still_on_the_drug_are_censored_not_stopped():
    last = ADAM["adex"].groupby("USUBJID").tail(1)
    ongoing = (last["EXADJ"] == "ongoing").sum()
    assert value(ARD, "exposure.dosing.exposed.ongoing.n")["value"] == ongoing
    all_stopped = ADAM["adex"].assign(EXADJ="progression")
    made = estimate({**ADAM, "adex": all_stopped})
    before = value(ARD, "exposure.dosing.exposed.duration.median")["value"]
    assert before > value(made.ard, "exposure.dosing.exposed.duration.median")["value"]


def random_dosing(rng: np.random.Generator) -> pd.DataFrame:
    rows = []
    for number in range(int(rng.integers(1, 30))):
        day = int(rng.integers(5, 50))
        for _ in range(int(rng.integers(1, 6))):
            length = int(rng.integers(1, 120))
            reason = rng.choice(["adverse_event", "patient_choice", "planned"])
            rows.append((f"P{number:02d}", day, day + length - 1, float(rng.choice([200, 400, 800])), reason))
            day += length + int(rng.choice([0, 0, 7]))
    return dosing(rows)


@pytest.mark.parametrize("seed", range(8))
def test_counts_and_doses_are_those_of_sql(seed):
    adex = random_dosing(np.random.default_rng(seed))
    names = sorted(set(adex["USUBJID"]))
    adsl = people(names, LSTALVDT=RFA + 5000 * DAY)
    found = described(adex, adsl)
    with duckdb.connect() as db:
        db.register("adex", pa.Table.from_pandas(adex, preserve_index=False))
        db.execute(
            """CREATE TABLE step AS SELECT USUBJID, EXDOSE, EXADJ, EXSTDT, EXENDT,
            EXDOSE - lag(EXDOSE) OVER own AS change, date_diff('day', lag(EXENDT) OVER own, EXSTDT) - 1 AS off
            FROM adex WINDOW own AS
            (PARTITION BY USUBJID ORDER BY EXSEQ)"""
        )

        def ask(query: str) -> float:
            return db.execute(query).fetchone()[0]

        patients = "SELECT count(DISTINCT USUBJID) FROM step WHERE"
        assert of(found, "reduced.n") == ask(f"{patients} change < 0")
        assert of(found, "re_escalated.n") == ask(f"{patients} change > 0")
        assert of(found, "interrupted.n") == ask(f"{patients} off > 0")
        assert of(found, "modified.n") == ask(f"{patients} change < 0 OR off > 0")
        assert of(found, "stopped.n") == len(names)
        db.execute(
            """CREATE TABLE course AS SELECT USUBJID, sum(EXDOSE * (date_diff('day', EXSTDT, EXENDT) + 1)) AS mg,
            date_diff('day', min(EXSTDT), max(EXENDT)) + 1 AS days, arg_max(EXADJ, EXSTDT) AS reason,
            sum(greatest(off, 0)) AS off FROM step GROUP BY USUBJID"""
        )
        assert found["exposure.dose.exposed.daily_dose_mg.mean"] == pytest.approx(
            ask("SELECT avg(mg / days) FROM course")
        )
        assert found["exposure.dose.exposed.cumulative_dose_g.mean"] == pytest.approx(
            ask("SELECT avg(mg) / 1000 FROM course")
        )
        assert of(found, "stopped_patient_choice.n") == ask(
            "SELECT count(*) FROM course WHERE reason = 'patient_choice'"
        )
        low = ask("SELECT count(*) FROM course WHERE mg / days < 400")
        assert found["exposure.dose_class.exposed.relative_dose_intensity.lt_50.n"] == low
        pauses = ask("SELECT avg(off) FROM course WHERE off > 0")
        if pauses is not None:
            assert found["exposure.interruption.exposed.days.mean"] == pytest.approx(float(pauses))


def test_reasons_of_the_stop_add_up_to_what_kaplan_meier_says():
    reasons = ARD[ARD["ard_id"].str.fullmatch(r"exposure\.stop_reason\.exposed\.\w+\.m12\.incidence")]
    on_drug = value(ARD, "exposure.on_drug.exposed.m12.survival")["value"]
    assert reasons["value"].sum() == pytest.approx(100 - on_drug)
    assert len(reasons) == 6


def test_the_curve_of_stopping_is_kaplan_meiers_of_the_records():
    exposed = ADAM["adsl"].loc[ADAM["adsl"]["EXPOSFL"] == "Y", "USUBJID"]
    own = ADAM["adex"][ADAM["adex"]["USUBJID"].isin(exposed)].groupby("USUBJID")
    days = (own["EXENDT"].max() - own["EXSTDT"].min()).dt.days + 1
    curve = kaplan_meier(days / DAYS_PER_MONTH, own["EXADJ"].last() != "ongoing")
    drawn = CURVES["km_stop"]
    np.testing.assert_allclose(drawn["survival"].iloc[1:], curve.survival)
    assert drawn["n_risk"].iloc[0] == len(exposed)


# --- duration and recurrence -----------------------------------------------------------------------------------------


def null_cohort(n: int = 3000, seed: int = 2) -> dict[str, pd.DataFrame]:
    """Return starters whose recurrence and whose stop know nothing of each other; recurrence ends the drug."""
    rng = np.random.default_rng(seed)
    names = np.array([f"P{number:05d}" for number in range(n)])
    start = rng.integers(5, 40, n)
    event = start + np.ceil(rng.exponential(700, n)).astype(int)
    stop = np.minimum(start + np.ceil(rng.exponential(300, n)).astype(int), event)
    last = 2500
    adsl = make_adam(40)["adsl"].iloc[np.zeros(n, dtype=int)].reset_index(drop=True)
    varied = {"AGE": rng.integers(40, 80, n), "TUMSIZE": rng.gamma(9, 0.3, n), "PLTBL": rng.normal(150, 40, n)}
    adsl = adsl.assign(
        USUBJID=pd.array(names, dtype="string"),
        EXPOSFL="Y",
        TRT01A=SORAFENIB,
        TRTSDT=RFA,
        LSTALVDT=RFA + last * DAY,
        RECDT=RFA + pd.to_timedelta(event, unit="D"),
        DTHDT=pd.NaT,
        AFPBL=10.0,
        **varied,
    )
    adex = pd.DataFrame(
        {
            "USUBJID": names,
            "EXSEQ": 1,
            "EXSTDT": RFA + pd.to_timedelta(start, unit="D"),
            "EXENDT": RFA + pd.to_timedelta(stop, unit="D"),
            "EXDOSE": 800.0,
            "EXADJ": np.where(stop == event, "progression", "planned"),
        }
    )
    adtte = pd.DataFrame({"USUBJID": names, "PARAMCD": "RFS", "AVAL": event / DAYS_PER_MONTH, "CNSR": 0})
    return {"adsl": adsl, "adex": adex, "adtte": adtte, "adae": ADAM["adae"].iloc[:0]}


@pytest.fixture(scope="module")
def null():
    return estimate(null_cohort()).ard


@pytest.mark.parametrize("months", [3, 6, 12])
def test_without_any_effect_the_landmark_finds_none_and_the_naive_comparison_a_large_one(null, months):
    for model in ("unadjusted", "adjusted"):
        landmark = value(null, f"exposure.landmark_m{months}.contrast.{model}.hr")
        naive = value(null, f"exposure.naive_m{months}.contrast.{model}.hr")
        assert landmark["ci_low"] < 1 < landmark["ci_high"]
        assert 0.88 < landmark["value"] < 1.14
        assert naive["ci_high"] < 0.85
        assert naive["value"] < 0.8
    assert naive["method"].startswith("biased by immortal time")


def test_who_is_on_the_drug_at_a_landmark_is_known_on_that_day():
    """Whatever happens to the drug afterwards, resumption of an interruption included, divides nobody otherwise."""
    adam = null_cohort(300)
    landmark = round(6 * DAYS_PER_MONTH)
    before = estimate(adam)
    adex = adam["adex"].copy()
    later = adex["EXENDT"] > RFA + landmark * DAY
    adex.loc[later, "EXENDT"] = RFA + (landmark + 1) * DAY
    resumed = adex[~later].assign(
        EXSEQ=2, EXSTDT=RFA + (landmark + 5) * DAY, EXENDT=RFA + (landmark + 60) * DAY, EXADJ="planned"
    )
    resumed = resumed[resumed["USUBJID"].isin(adam["adsl"].loc[adam["adsl"]["RECDT"] > RFA + 300 * DAY, "USUBJID"])]
    after = estimate({**adam, "adex": pd.concat([adex, resumed], ignore_index=True)})
    name = "exposure.landmark_m6.contrast.unadjusted.hr"
    assert value(after.ard, name)["value"] == pytest.approx(value(before.ard, name)["value"])
    assert value(after.ard, "exposure.landmark_m6.resumed.n")["value"] == len(resumed)
    naive = "exposure.naive_m6.contrast.unadjusted.hr"
    assert value(after.ard, naive)["value"] != pytest.approx(value(before.ard, naive)["value"], rel=0.02)


def test_patients_at_a_landmark_are_starters_still_recurrence_free():
    adsl, rfs = ADAM["adsl"], ADAM["adtte"][ADAM["adtte"]["PARAMCD"] == "RFS"].set_index("USUBJID")
    starters = adsl[adsl["TRT01A"] == SORAFENIB]
    ends = ADAM["adex"].groupby("USUBJID")["EXENDT"].max()
    for months in PLAN.exposure.duration_landmarks_months:
        at_risk = starters[starters["USUBJID"].map(rfs["AVAL"]) > months]
        day = at_risk["TRTSDT"] + round(months * DAYS_PER_MONTH) * DAY
        on_drug = at_risk["USUBJID"].map(ends) >= day  # no interruptions in this cohort
        where = f"exposure.landmark_m{months:g}"
        assert value(ARD, f"{where}.on_drug.unadjusted.n")["value"] == on_drug.sum()
        assert value(ARD, f"{where}.stopped.unadjusted.n")["value"] == (~on_drug).sum()
    drawn = CURVES["duration_landmark"]
    assert len(drawn) == 4 * len(PLAN.exposure.duration_landmarks_months)
    assert set(drawn["ard_id"]) <= set(ARD["ard_id"])


# --- swimmer plot ----------------------------------------------------------------------------------------------------


def test_the_swimmer_plot_shows_a_spread_of_courses_and_names_nobody():
    drawn = CURVES["swimmer"]
    count = int(value(ARD, "exposure.dosing.exposed.with_dosing_records.n")["value"])
    assert count > SWIMMERS
    assert drawn["patient"].nunique() == SWIMMERS
    assert set(drawn["of"]) == {count}
    assert not drawn.astype("string").isin(ADAM["adsl"]["USUBJID"]).any().any()
    length = drawn[drawn["kind"] == "dose"].groupby("patient").agg(a=("start_months", "min"), b=("end_months", "max"))
    assert (length["b"] - length["a"]).is_monotonic_decreasing
    courses = courses_of(ADAM["adex"], ADAM["adsl"][ADAM["adsl"]["EXPOSFL"] == "Y"]).patients["days"] / DAYS_PER_MONTH
    assert (length["b"] - length["a"]).iloc[0] == pytest.approx(courses.max())
    assert (length["b"] - length["a"]).iloc[-1] == pytest.approx(courses.min())
    shuffled = {name: frame.sample(frac=1, random_state=3) for name, frame in ADAM.items()}
    pd.testing.assert_frame_equal(estimate(shuffled).curves["swimmer"], drawn)


def test_a_swimmer_has_the_marks_of_the_records():
    adam = small_adam()
    adam["adae"] = adam["adae"].iloc[:1]  # A: grade 3 on day 29
    drawn = estimate(adam).curves["swimmer"]
    mine = drawn[drawn["patient"] == 1]
    assert set(mine["kind"]) >= {"follow_up", "dose", "stop", "event"}
    dose = mine[mine["kind"] == "dose"].iloc[0]
    assert (dose["start_months"], dose["end_months"]) == pytest.approx((10 / DAYS_PER_MONTH, 41 / DAYS_PER_MONTH))
    assert mine.loc[mine["kind"] == "event", "start_months"].tolist() == pytest.approx([29 / DAYS_PER_MONTH])
    assert drawn.loc[drawn["kind"] == "event", "patient"].tolist() == [1]


# --- odd data -------------------------------------------------------------------------------------------------------


def test_nobody_exposed_says_why_there_is_nothing():
    adam = {**ADAM, "adsl": ADAM["adsl"].assign(EXPOSFL="N", TRT01A=CONTROL)}
    made = estimate(adam)
    estimates = made.ard[made.ard["unit"] != "count"]
    assert estimates["value"].isna().all()
    assert estimates["method"].str.startswith(("not estimable", "not tested")).all()
    assert made.curves["swimmer"].empty
    assert (made.ard.loc[made.ard["unit"] == "count", "value"].fillna(0) == 0).all()


@pytest.mark.parametrize(
    "rows",
    [
        [("A", 10, 40, 800, "planned")],
        [("A", 10, None, 800, None)],
        [("A", 10, 40, None, None)],
        [("A", 10, 40, 0, "planned")],
        [("A", 40, 10, 800, "planned")],
        [("A", 10, 10, 800, "planned"), ("A", 10, 10, 400, "planned")],
    ],
    ids=["one patient", "no end", "no dose", "0 mg only", "end before start", "two doses on a day"],
)
def test_odd_dosing_records_never_crash(rows):
    found = described(dosing(rows), people("A"))
    assert of(found, "with_dosing_records.n") == (0 if rows[0][3] == 0 else 1)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 13])
def test_tiny_cohorts_are_compared_or_say_why_not(n):
    """Also where the plan compares groups of any size."""
    the_plan = PLAN.model_copy(update={"small_group": 0})
    adam = make_adam(n, seed=3)
    made = estimate_exposure(adam["adex"], adam["adsl"], adam["adtte"], adam["adae"], the_plan, "synthetic", "r")
    ratios = made.ard[made.ard["stat_name"] == "hr"]
    assert len(ratios) == 4 * len(PLAN.exposure.duration_landmarks_months)
    assert ratios.loc[ratios["value"].isna(), "method"].str.startswith("not estimable").all()
