"""ALBI in time: whose scores count until when, when a grade is worse, and what is said where nothing can be fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from estimates_data import PLAN, estimated, laboratory, make_adam, plan, value

from sorafenib_rfa.estimates.albi import add_albi, albi_scores, first_worse
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.liver import estimate_liver
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

ADAM, PARTS = estimated()
ARD = PARTS["liver"].ard
RFA = pd.Timestamp("2016-01-01")
DAY = pd.Timedelta(days=1)
GRADE_1, GRADE_2 = (10.0, 45.0), (30.0, 30.0)  # ALBI -3.17 and -1.58


def scored(*rows: tuple) -> pd.DataFrame:
    """Return ADLB with albumin and bilirubin: patient, days since RFA, (bilirubin, albumin), near an ablation."""
    results = [
        (subject, test, day, value_, near)
        for subject, day, pair, near in rows
        for test, value_ in zip(("BILI", "ALB"), pair, strict=True)
    ]
    return pd.DataFrame(
        {
            "USUBJID": pd.array([r[0] for r in results], dtype="string"),
            "PARAMCD": pd.array([r[1] for r in results], dtype="string"),
            "ADT": pd.to_datetime([RFA + r[2] * DAY for r in results]),
            "AVAL": pd.array([r[3] for r in results], dtype="Float64"),
            "PERIRFFL": pd.array(["Y" if r[4] else "N" for r in results], dtype="string"),
            "SRCFILE": pd.array(["labs.csv"] * len(results), dtype="string"),
            "SRCSHEET": pd.array([pd.NA] * len(results), dtype="string"),
            "SRCROW": pd.array(range(2, len(results) + 2), dtype="Int64"),
        }
    )


def patients(*rows: tuple) -> pd.DataFrame:
    """Return ADSL: patient, treated, ALBI at baseline, day of recurrence, day of death (None: neither)."""

    def dates(place: int) -> pd.Series:
        return pd.Series([pd.NaT if r[place] is None else RFA + r[place] * DAY for r in rows], dtype="datetime64[ns]")

    return pd.DataFrame(
        {
            "USUBJID": pd.array([r[0] for r in rows], dtype="string"),
            "LMFL": pd.array(["Y"] * len(rows), dtype="string"),
            "LMTRT": pd.array([SORAFENIB if r[1] else CONTROL for r in rows], dtype="string"),
            "ALBISC": pd.array([r[2] for r in rows], dtype="Float64"),
            "TRTSDT": pd.to_datetime([RFA] * len(rows)),
            "RECDT": dates(3),
            "DTHDT": dates(4),
        }
    )


def estimate(adlb: pd.DataFrame, adsl: pd.DataFrame, the_plan=PLAN):
    ard = ArdBuilder("synthetic", "liver", "r")
    return ard.estimates(add_albi(ard, adlb, adsl, the_plan, "S3_LIVER"))


def who(made, identifier: str) -> list[str]:
    return made.members.loc[made.members["ard_id"] == f"liver.{identifier}", "USUBJID"].tolist()


def test_scores_need_both_results_of_one_day():
    adlb = scored(("A", 70, GRADE_1, False), ("A", 80, GRADE_2, True), ("B", 70, GRADE_1, False))
    adlb = adlb.drop(index=4)  # B's bilirubin
    adlb.loc[len(adlb) + 1] = adlb.iloc[0]  # the same day again: the later row stands
    adlb.iloc[-1, adlb.columns.get_loc("AVAL")] = 20.0
    made = albi_scores(adlb)
    assert made["USUBJID"].tolist() == ["A", "A"]
    assert made["score"].tolist() == pytest.approx([0.66 * np.log10(20) - 0.085 * 45, 0.66 * np.log10(30) - 0.085 * 30])
    assert made["grade"].tolist() == [1, 2]
    assert made["near_rfa"].tolist() == [False, True]
    assert made["SRCROW"].tolist() == [3, 5], "the row of the albumin"
    assert albi_scores(adlb.assign(AVAL=-1.0)).empty


def test_events_of_worsening_by_hand():
    adsl = patients(
        ("worse", True, -3.0, None, None),
        ("confirmed", True, -3.0, None, None),
        ("died first", True, -3.0, None, 90),
        ("recurred first", False, -3.0, 100, 900),
        ("before the landmark", False, -3.0, None, None),
        ("after an ablation", False, -3.0, None, None),
        ("grade 3 already", False, -1.2, None, None),
        ("no baseline", False, pd.NA, None, None),
        ("no score", False, -3.0, None, None),
    )
    adlb = scored(
        ("worse", 60, GRADE_1, False),
        ("worse", 150, GRADE_2, False),
        ("worse", 240, GRADE_1, False),
        ("confirmed", 120, GRADE_2, False),
        ("confirmed", 180, GRADE_2, False),
        ("died first", 80, GRADE_1, False),
        ("recurred first", 100, GRADE_1, False),
        ("recurred first", 101, GRADE_2, False),
        ("before the landmark", 59, GRADE_2, False),
        ("before the landmark", 200, GRADE_1, False),
        ("after an ablation", 130, GRADE_2, True),
        ("after an ablation", 250, GRADE_1, False),
        ("grade 3 already", 100, GRADE_2, False),
        ("no baseline", 100, GRADE_2, False),
    )
    made = estimate(adlb, adsl, plan(small_group=0))
    assert who(made, "albi_worsening.sorafenib.events") == ["confirmed", "worse"]
    assert who(made, "albi_worsening_confirmed.sorafenib.events") == ["confirmed"]
    assert who(made, "albi_worsening.sorafenib.deaths") == ["died first"]
    assert who(made, "albi_worsening.control.events") == []
    # a death after recurrence is nobody's competing event
    assert who(made, "albi_worsening.control.deaths") == []
    assert who(made, "albi_worsening.control.grade_3_at_baseline") == ["grade 3 already"]
    assert who(made, "albi_worsening.control.without_score") == ["no score"]
    assert who(made, "albi_course.control.without_baseline") == ["no baseline"]
    # of three with sorafenib one dies on day 90, then one of two is worse on day 120, the other on day 150
    at = {m: value(made.ard, f"liver.albi_worsening.sorafenib.m{m}.incidence")["value"] for m in (3, 6)}
    assert at == pytest.approx({3: 0.0, 6: 100 * 2 / 3})
    # of none, the exact limit of the patients still followed: 1 - (alpha / 2) ** (1 / n); death has taken one of three
    none = value(made.ard, "liver.albi_worsening.sorafenib.m3.incidence")
    assert (none["ci_low"], none["ci_high"]) == pytest.approx((0.0, 100 * (1 - 0.025 ** (1 / 2))))
    nobody = value(made.ard, "liver.albi_worsening.contrast.m6.risk_difference")
    assert nobody["method"] == "not estimable: no event by then in RFA alone"
    curve = made.curves["albi_worsening"]
    first = curve[(curve["group"] == "sorafenib") & (curve["definition"] == "first")]
    steps = first.loc[first["incidence"].diff() > 0, "time_months"]
    assert (steps * DAYS_PER_MONTH).tolist() == pytest.approx([120, 150])


@pytest.mark.parametrize(("gap", "competes"), [(90, True), (91, False)])
def test_a_death_long_after_the_last_score_competes_in_one_analysis_and_not_in_the_other(gap, competes):
    """`late` dies so many days after a last score on day 100, `other` is worse on day 300: after the death or alone."""
    adsl = patients(
        ("late", True, -3.0, None, 100 + gap),
        ("never", True, -3.0, None, 60 + gap),
        ("other", True, -3.0, None, None),
        ("control", False, -3.0, None, None),
    )
    adlb = scored(
        ("late", 100, GRADE_1, False),
        ("other", 300, GRADE_2, False),
        ("control", 300, GRADE_1, False),
    )
    made = estimate(adlb, adsl, plan(small_group=0))
    assert who(made, "albi_worsening.sorafenib.deaths") == ["late", "never"]
    near = ["late", "never"] if competes else []  # without a score, from the landmark on
    assert who(made, "albi_worsening_death_90_days.sorafenib.deaths") == near
    # counted as competing, two of three are dead before month 12; censored, the one left is worse for certain
    expected = {"albi_worsening": 100 / 3, "albi_worsening_death_90_days": 100 / 3 if competes else 100.0}
    for analysis, percent in expected.items():
        row = value(made.ard, f"liver.{analysis}.sorafenib.m12.incidence")
        assert row["value"] == pytest.approx(percent)
    assert "death came more than 90 days after it" in row["method"]
    assert set(made.curves["albi_worsening"]["definition"]) == {"first", "confirmed"}


def test_the_last_score_has_no_next_one_to_confirm_it():
    scores = pd.DataFrame(
        {
            "USUBJID": ["A", "A", "B", "B", "B"],
            "months": [3.0, 6.0, 3.0, 6.0, 9.0],
            "grade": [1, 2, 2, 2, 1],
            "base_grade": [1, 1, 1, 1, 1],
        }
    )
    assert first_worse(scores, confirmed=False).to_dict() == {"A": 6.0, "B": 3.0}
    assert first_worse(scores, confirmed=True).to_dict() == {"B": 3.0}


def test_means_are_those_of_the_model_and_rest_on_their_patients():
    """With everybody's score moved by a constant in one arm, the difference moves by it at every month."""
    adsl, adlb = ADAM["adsl"], ADAM["adlb"]
    moved = adlb.copy()
    treated = moved["USUBJID"].isin(adsl.loc[adsl["LMTRT"] == SORAFENIB, "USUBJID"])
    moved["AVAL"] = moved["AVAL"] - np.where(treated & (moved["PARAMCD"] == "ALB"), 0.3 / 0.085, 0.0)
    before, after = estimate(adlb, adsl), estimate(moved, adsl)
    for month in (3, 6, 9):
        name = f"liver.albi_course.contrast.m{month}.difference"
        rows = [value(made.ard, name) for made in (before, after)]
        assert rows[1]["value"] - rows[0]["value"] == pytest.approx(0.3, abs=1e-6)
        assert rows[1]["ci_high"] - rows[1]["ci_low"] == pytest.approx(rows[0]["ci_high"] - rows[0]["ci_low"], rel=1e-5)
    # the laboratory of the cohort ends before month 12
    late = value(before.ard, "liver.albi_course.contrast.m18.difference")
    assert np.isnan(late["value"])
    assert late["method"].startswith("not estimable: no score as late")
    row = value(before.ard, "liver.albi_course.sorafenib.m6.mean_change")
    # the laboratory of this cohort has no slopes
    assert "random intercept by patient only, since the slopes of patients do not vary" in row["method"]
    assert "missing at random" in row["method"]
    course = before.curves["albi_course"]
    at_6 = course[(course["group"] == "sorafenib") & (course["months"] == 6)].iloc[0]
    assert at_6["change"] == pytest.approx(row["value"])
    base = at_6["albi"] - at_6["change"]
    lines = before.curves["albi_patients"]
    assert base == pytest.approx(lines.loc[lines["months"] == 0, "albi"].mean())


def test_slopes_that_differ_between_patients_are_in_the_model():
    adlb = ADAM["adlb"].copy()
    slope = dict(zip(ADAM["adsl"]["USUBJID"], np.random.default_rng(2).normal(0, 0.01, 700), strict=True))
    albumin = (adlb["PARAMCD"] == "ALB") * adlb["USUBJID"].map(slope) * adlb["ADY"]
    adlb["AVAL"] = adlb["AVAL"] + albumin.astype(float)
    made = estimate(adlb, ADAM["adsl"])
    assert (
        "random intercept and slope by patient" in value(made.ard, "liver.albi_course.control.m6.mean_change")["method"]
    )


def test_curves_of_patients_tell_no_identity_and_no_order_of_them():
    lines = PARTS["liver"].curves["albi_patients"]
    assert list(lines.columns) == ["group", "label", "line", "months", "albi"]
    renamed = {i: f"X{len(ADAM['adsl']) - n:04d}" for n, i in enumerate(ADAM["adsl"]["USUBJID"])}
    adsl, adlb = (
        ADAM[name].assign(USUBJID=ADAM[name]["USUBJID"].map(renamed).astype("string")) for name in ("adsl", "adlb")
    )
    again = estimate(adlb.sample(frac=1, random_state=1), adsl.sample(frac=1, random_state=2)).curves["albi_patients"]
    pd.testing.assert_frame_equal(again, lines)


def _no_variation(adam):
    adam["adlb"]["AVAL"] = adam["adlb"].groupby("PARAMCD")["AVAL"].transform("mean")
    adam["adsl"]["ALBISC"] = -2.5


ODD = {
    "no results": lambda adam: adam.update(adlb=adam["adlb"].iloc[:0]),
    "no bilirubin": lambda adam: adam.update(adlb=adam["adlb"][adam["adlb"]["PARAMCD"] != "BILI"]),
    "no baseline": lambda adam: adam["adsl"].__setitem__("ALBISC", pd.array([pd.NA] * len(adam["adsl"]), "Float64")),
    "one baseline for all": lambda adam: adam["adsl"].__setitem__("ALBISC", -2.5),
    "no variation at all": _no_variation,
    "no limits of normal": lambda adam: adam["adlb"].__setitem__(
        "ANRHI", pd.array([pd.NA] * len(adam["adlb"]), "Float64")
    ),
    "no values": lambda adam: adam["adlb"].__setitem__("AVAL", pd.array([pd.NA] * len(adam["adlb"]), "Float64")),
    "one score each": lambda adam: adam.update(adlb=adam["adlb"].drop_duplicates(["USUBJID", "PARAMCD"], keep="last")),
    "nobody at the landmark": lambda adam: adam["adsl"].__setitem__("LMFL", "N"),
    "nobody exposed": lambda adam: [adam["adsl"].__setitem__(c, v) for c, v in (("EXPOSFL", "N"), ("LMTRT", CONTROL))],
}


@pytest.mark.parametrize("size", [1, 3, 40])
@pytest.mark.parametrize("what", list(ODD))
def test_odd_data_give_reasons(what, size):
    adam = make_adam(size, seed=3)
    ODD[what](adam)
    # with the small-group rule off, the estimators themselves must cope
    given = {name: adam[name] for name in ("adlb", "adsl", "adae", "adex")}
    made = estimate_liver(**given, plan=plan(small_group=0), cohort_name="synthetic", record="r")
    nothing = made.ard[made.ard["value"].isna()]
    assert nothing["method"].str.startswith("not estimable").all()
    assert set(made.curves) == {"lab_shift", "liver_peaks", "albi_course", "albi_patients", "albi_worsening"}


def test_scores_of_one_visit_each_are_fitted_without_random_effects_and_say_so():
    adam = make_adam(60, seed=3)
    rng = np.random.default_rng(1)
    adam["adlb"] = laboratory(rng, adam["adsl"], np.full(60, 400))
    adam["adlb"] = adam["adlb"][adam["adlb"]["ADY"] == 91]
    words = value(estimate(adam["adlb"], adam["adsl"]).ard, "liver.albi_course.contrast.m3.difference")["method"]
    assert words.startswith(("not estimable: ", "difference in mean change"))
    spread = adam["adlb"]["USUBJID"].map(dict(zip(adam["adsl"]["USUBJID"], rng.integers(0, 300, 60), strict=True)))
    adam["adlb"]["ADT"] = adam["adlb"]["ADT"] + pd.to_timedelta(spread.to_numpy(), unit="D")
    words = value(estimate(adam["adlb"], adam["adsl"]).ard, "liver.albi_course.contrast.m6.difference")["method"]
    assert "no random effect, since every patient has one score" in words
