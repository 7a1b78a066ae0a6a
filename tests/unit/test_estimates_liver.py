"""Liver function by exposure, by hand: at the bounds, in the windows, and with records missing."""

from __future__ import annotations

import pandas as pd
import pytest
from estimates_data import PLAN, estimated, small_adam, value

from sorafenib_rfa.estimates.liver import estimate_liver
from sorafenib_rfa.estimates.members import counts_of

ADAM, PARTS = estimated()
ARD = PARTS["liver"].ard
DAY = pd.Timedelta(days=1)
ULN = {"ALT": 40.0, "AST": 35.0, "BILI": 20.0, "ALB": 50.0, "ALP": 120.0}


def estimate(adam, adlb, the_plan=PLAN):
    return estimate_liver(adlb, adam["adsl"], adam["adae"], adam["adex"], the_plan, "synthetic", "r")


def labs(*rows: tuple) -> pd.DataFrame:
    """Return ADLB rows: patient, test, days since RFA, multiple of ULN, the same at baseline, grade, near RFA."""
    rfa = pd.Timestamp("2016-01-01")
    return pd.DataFrame(
        {
            "USUBJID": pd.array([r[0] for r in rows], dtype="string"),
            "PARAMCD": pd.array([r[1] for r in rows], dtype="string"),
            "ADT": pd.to_datetime([rfa + r[2] * DAY for r in rows]),
            "ADY": pd.array([r[2] + 1 for r in rows], dtype="Int64"),
            "AVAL": pd.array([r[3] * ULN[r[1]] for r in rows], dtype="Float64"),
            "ANRHI": pd.array([ULN[r[1]] for r in rows], dtype="Float64"),
            "BASE": pd.array([r[4] * ULN[r[1]] for r in rows], dtype="Float64"),
            "ATOXGR": pd.array([r[5] for r in rows], dtype="Int64"),
            "BTOXGR": pd.array([0 for _ in rows], dtype="Int64"),
            "PERIRFFL": pd.array(["Y" if r[6] else "N" for r in rows], dtype="string"),
            "SRCFILE": pd.array(["labs.csv" for _ in rows], dtype="string"),
            "SRCSHEET": pd.array([pd.NA for _ in rows], dtype="string"),
            "SRCROW": pd.array(range(2, len(rows) + 2), dtype="Int64"),
        }
    )


def n(made, identifier: str) -> float:
    return value(made.ard, f"liver.{identifier}.n")["value"]


# --- signals of liver injury ---------------------------------------------------------------------------------------


def test_liver_signal_needs_both_in_time_and_away_from_ablation():
    adlb = labs(
        ("A", "ALT", 20, 4.0, 0.5, 2, False),
        ("A", "BILI", 35, 2.5, 0.5, 2, False),
        ("B", "ALT", 12, 6.0, 0.5, 3, True),  # after ablation: expected
        ("B", "BILI", 14, 3.0, 0.5, 2, True),
        ("B", "ALT", 40, 1.0, 0.5, 0, False),
        ("B", "BILI", 40, 1.0, 0.5, 0, False),
        ("C", "ALT", 10, 3.5, 0.5, 2, False),
        ("C", "BILI", 60, 2.5, 0.5, 2, False),  # 50 days later
    )
    made = estimate(small_adam(), adlb)
    assert n(made, "hy.exposed.uln.concurrent") == 1
    assert value(made.ard, "liver.hy.exposed.uln.concurrent.percent")["value"] == 50
    assert n(made, "hy.unexposed.uln.concurrent") == 0
    # by their peaks, whatever the time between them, both A and C are in the quadrant
    assert n(made, "edish.exposed.uln.potential_hy") == n(made, "edish.unexposed.uln.potential_hy") == 1
    assert n(made, "edish.exposed.uln.normal") == 1
    # what leaving out the days after ablation does
    assert n(made, "edish_with_peri_rfa.exposed.uln.potential_hy") == 2
    assert n(made, "hy_with_peri_rfa.exposed.uln.concurrent") == 2
    peaks = made.curves["liver_peaks"]
    exposed = peaks[peaks["group"] == "exposed"]
    assert exposed["aminotransferase_uln"].tolist() == [1.0, 4.0]
    assert exposed["concurrent_uln"].tolist() == [False, True]
    # grade 3 of B came after an ablation; what is counted is the result of day 40
    assert n(made, "lab.exposed.alt.grade_3_4") == 0
    assert value(made.ard, "liver.results.exposed.alt.near_rfa")["value"] == 1
    words = made.ard.loc[made.ard["ard_id"].str.contains(r"\.(?:potential_hy|concurrent)\."), "method"]
    assert words.str.contains("needs adjudication").sum() == len(words) - words.str.startswith("not ").sum() > 0


@pytest.mark.parametrize(
    ("alt", "bilirubin", "name"),
    [
        (3.0, 2.0, "temple"),  # exactly 3 is in, exactly 2 is not above
        (2.9999, 2.0001, "hyperbilirubinaemia"),
        (3.0, 2.0001, "potential_hy"),
        (2.9999, 2.0, "normal"),
    ],
)
def test_quadrants_at_their_bounds(alt, bilirubin, name):
    # a limit that makes 3 times it, in floating point, no multiple of 3
    adlb = labs(("A", "AST", 20, alt, 0.5, 1, False), ("A", "BILI", 20, bilirubin, 0.5, 1, False))
    adlb["ANRHI"] = pd.array([40.1, 20.52], dtype="Float64")
    adlb["AVAL"] = pd.array([40.1 * alt, 20.52 * bilirubin], dtype="Float64")
    made = estimate(small_adam(), adlb)
    found = {q: n(made, f"edish.exposed.uln.{q}") for q in ("normal", "temple", "hyperbilirubinaemia", "potential_hy")}
    assert found == {q: float(q == name) for q in found}
    assert n(made, "hy.exposed.uln.concurrent") == (name == "potential_hy")
    assert value(made.ard, "liver.edish.exposed.uln.total")["value"] == 1
    assert value(made.ard, "liver.edish.exposed.uln.not_placed")["value"] == 1  # B has no results


def test_signal_by_the_patients_own_baseline():
    """Cirrhosis: bilirubin 2.4 times the limit at 1.5 times baseline is no signal by the patient's own baseline."""
    adlb = labs(("A", "ALT", 20, 4.0, 0.5, 2, False), ("A", "BILI", 25, 2.4, 1.6, 2, False))
    made = estimate(small_adam(), adlb)
    assert n(made, "hy.exposed.uln.concurrent") == 1
    assert n(made, "hy.exposed.baseline.concurrent") == 0
    # a baseline below the limit does not make a small rise large: ALT stays in multiples of the limit
    assert n(made, "edish.exposed.baseline.temple") == 1
    assert made.curves["liver_peaks"]["aminotransferase_baseline"].tolist() == [4.0]


@pytest.mark.parametrize(("bilirubin_day", "alp_day"), [(50, 20), (51, 21), (19, 11), (20, 11)])
def test_thirty_days_are_the_bound(bilirubin_day, alp_day):
    """Bilirubin from the day of the aminotransferase to 30 days after; before it, and later, is no signal."""
    adlb = labs(
        ("A", "ALT", 20, 4.0, 0.5, 2, False),
        ("A", "BILI", bilirubin_day, 2.5, 0.5, 2, False),
    )
    assert n(estimate(small_adam(), adlb), "hy.exposed.uln.concurrent") == (bilirubin_day in (20, 50))
    # alkaline phosphatase up to 30 days before the aminotransferase
    adlb = labs(
        ("A", "ALT", alp_day + 30, 4.0, 0.5, 2, False),
        ("A", "BILI", alp_day + 30, 2.5, 0.5, 2, False),
        ("A", "ALP", alp_day, 1.0, 0.5, 0, False),
    )
    assert n(estimate(small_adam(), adlb), "hy.exposed.uln.without_cholestasis") == 1
    adlb["ADT"] = adlb["ADT"].mask(adlb["PARAMCD"] == "ALP", adlb["ADT"] - DAY)
    assert n(estimate(small_adam(), adlb), "hy.exposed.uln.alp_unknown") == 1


@pytest.mark.parametrize(
    ("alp", "day", "expected"),
    [
        (1.9, 20, "without_cholestasis"),
        (2.0, 20, "with_cholestasis"),
        (1.0, 21, "alp_unknown"),
        (1.0, 11, "without_cholestasis"),
    ],
)
def test_initial_cholestasis_is_judged_by_alkaline_phosphatase_up_to_the_aminotransferase(alp, day, expected):
    adlb = labs(
        ("A", "ALT", 20, 4.0, 0.5, 2, False),
        ("A", "BILI", 25, 2.5, 0.5, 2, False),
        ("A", "ALP", day, alp, 0.5, 1, False),
    )
    made = estimate(small_adam(), adlb)
    classes = ("without_cholestasis", "with_cholestasis", "alp_unknown")
    assert {c: n(made, f"hy.exposed.uln.{c}") for c in classes} == {c: float(c == expected) for c in classes}


def test_results_without_a_limit_or_a_baseline_are_counted_and_placed_nowhere():
    adlb = labs(
        ("A", "ALT", 20, 4.0, 0.5, 2, False),
        ("A", "BILI", 25, 2.5, 0.5, 2, False),
        ("B", "ALT", 20, 4.0, 0.5, 2, False),
        ("B", "BILI", 25, 2.5, 0.5, 2, False),
    )
    adlb.loc[1, ["ANRHI", "ATOXGR"]] = pd.NA  # A's bilirubin: no limit
    adlb.loc[3, ["BASE", "BTOXGR"]] = pd.NA  # B's bilirubin: no baseline
    made = estimate(small_adam(), adlb)
    assert value(made.ard, "liver.results.exposed.bili.without_uln")["value"] == 1
    assert value(made.ard, "liver.results.exposed.bili.not_graded")["value"] == 1
    assert value(made.ard, "liver.results.exposed.bili.results")["value"] == 2
    rows = made.members[made.members["ard_id"] == "liver.results.exposed.bili.without_uln"]
    assert rows[["USUBJID", "src_row"]].to_numpy().tolist() == [["A", 3]]
    assert value(made.ard, "liver.edish.exposed.uln.total")["value"] == 1
    assert value(made.ard, "liver.edish.exposed.uln.not_placed")["value"] == 1
    assert value(made.ard, "liver.edish.exposed.baseline.not_placed")["value"] == 2
    # in the shift table they stand under "missing", and everybody is in it once
    assert n(made, "shift.exposed.bili.g0_to_missing") == 1
    assert n(made, "shift.exposed.bili.missing_to_g2") == 1
    assert value(made.ard, "liver.shift.exposed.bili.total")["value"] == 0
    cells = made.curves["lab_shift"]
    assert cells[cells["test"] == "ALT"].groupby("group")["n"].sum().to_dict() == {"exposed": 2, "unexposed": 1}


# --- grades --------------------------------------------------------------------------------------------------------


def test_results_outside_the_time_at_risk_do_not_count():
    adlb = labs(("A", "ALT", 5, 10.0, 0.5, 3, False), ("A", "ALT", 95, 10.0, 0.5, 3, False))
    made = estimate(small_adam(), adlb)
    assert not made.ard["ard_id"].str.startswith("liver.lab.exposed.alt").any()


@pytest.mark.parametrize(("subject", "group"), [("A", "exposed"), ("C", "unexposed")])
def test_results_after_recurrence_do_not_count(subject, group):
    """Recurrence on day 30, and nothing else ends the time at risk before day 70 or 100."""
    adam = small_adam()
    adam["adsl"]["ALBISC"] = pd.array([-2.97] * 3, dtype="Float64")
    own = adam["adsl"]["USUBJID"] == subject
    adam["adsl"].loc[own, "RECDT"] = pd.Timestamp("2016-01-31")
    sick = [("ALT", 10.0, 3), ("BILI", 4.0, 3), ("ALB", 0.5, 2)]
    for day, counted in ((30, 1), (31, 0)):
        rows = [(subject, test, 20, 0.9, 0.9, 0, False) for test, *_ in sick]
        rows += [(subject, test, day, multiple, 0.9, grade, False) for test, multiple, grade in sick]
        made = estimate(adam, labs(*rows))
        assert value(made.ard, f"liver.results.{group}.alt.results")["value"] == 1 + counted
        for count in (
            f"lab.{group}.alt.grade_3_4",
            f"lab.{group}.albi.worsened",
            f"shift.{group}.alt.worse_2",
            f"edish.{group}.uln.potential_hy",
            f"edish_with_peri_rfa.{group}.baseline.potential_hy",
            f"hy.{group}.uln.concurrent",
        ):
            assert n(made, count) == counted, count
    # A: from day 10 (B to day 70, 30 days after the last dose); C: from day 0
    days = {"exposed": 21 + 61, "unexposed": 31}[group]
    assert value(made.ard, f"liver.observation.{group}.patient_years")["value"] == pytest.approx(days / 365.25)


def test_a_result_from_the_day_of_ablation_was_taken_before_it():
    """C is unexposed and at risk from RFA on."""
    made = estimate(small_adam(), labs(("C", "ALT", 0, 10.0, 0.5, 3, False), ("C", "ALT", 40, 2.0, 0.5, 1, False)))
    assert n(made, "lab.unexposed.alt.grade_3_4") == 0
    assert value(made.ard, "liver.results.unexposed.alt.results")["value"] == 1


def test_shifts_are_on_one_yardstick():
    """ALT 2.0 times the limit before and after: CTCAE's branch for abnormal baselines grades it 1, then 0."""
    adlb = labs(("A", "ALT", 20, 2.0, 2.0, 0, False), ("B", "ALT", 20, 3.5, 2.0, 1, False))
    adlb["BTOXGR"] = pd.array([1, 1], dtype="Int64")
    made = estimate(small_adam(), adlb)
    assert n(made, "shift.exposed.alt.g1_to_g1") == n(made, "shift.exposed.alt.g1_to_g2") == 1
    assert n(made, "shift.exposed.alt.unchanged") == n(made, "shift.exposed.alt.worse_1") == 1
    assert n(made, "shift.exposed.alt.better") == 0
    assert n(made, "shift.exposed.alt.from_g1") == 2
    assert value(made.ard, "liver.shift.exposed.alt.g1_to_g2.percent")["value"] == 50


def test_percentages_of_the_liver_say_their_numerator_and_denominator():
    percent = ARD[(ARD["unit"] == "percent") & ARD["stat_name"].isin(["percent"]) & ARD["value"].notna()]
    values = ARD.set_index("ard_id")["value"]
    for row in percent.iloc[::7].itertuples():
        counts = counts_of(row.ard_id, ARD)
        assert set(counts) == {"numerator", "denominator"}, row.ard_id
        assert row.value == pytest.approx(100 * values[counts["numerator"]] / values[counts["denominator"]])
    contrast = counts_of("liver.edish.contrast.uln.potential_hy.risk_difference", ARD)
    assert contrast["denominator_exposed"] == "liver.edish.exposed.uln.total"
    assert counts_of("liver.lab.exposed.albi.worsened.percent", ARD)["denominator"] == "liver.lab.exposed.albi.total"


def test_quadrants_and_cells_add_up():
    values = ARD.set_index("ard_id")["value"]
    for analysis in ("edish", "edish_with_peri_rfa"):
        for group in ("exposed", "unexposed"):
            for scale in ("uln", "baseline"):
                where = f"liver.{analysis}.{group}.{scale}"
                quadrants = ("normal", "temple", "hyperbilirubinaemia", "potential_hy")
                assert sum(values[f"{where}.{q}.n"] for q in quadrants) == values[f"{where}.total"]
                patients = (ADAM["adsl"]["EXPOSFL"] == ("Y" if group == "exposed" else "N")).sum()
                assert values[f"{where}.total"] + values[f"{where}.not_placed"] == patients
    cells = PARTS["liver"].curves["lab_shift"]
    for (test, group), own in cells.groupby(["test", "group"]):
        for base, row in own.groupby("base_grade"):
            margin = "missing" if base == "missing" else f"g{base}"
            assert row["n"].sum() == values[f"liver.shift.{group}.{test.lower()}.from_{margin}.n"]
        both = own[(own["base_grade"] != "missing") & (own["worst_grade"] != "missing")]
        assert both["n"].sum() == values[f"liver.shift.{group}.{test.lower()}.total"]
        assert both["percent"].sum() == pytest.approx(100)


# --- ALBI while at risk --------------------------------------------------------------------------------------------


def test_albi_worsening_uses_results_of_one_day_away_from_ablations():
    """ALBI 0.66 log10(20) - 0.085 x 45 = -2.97, grade 1; with bilirubin 40 and albumin 30 it is -1.49, grade 2."""
    adam = small_adam()
    adam["adsl"]["ALBISC"] = pd.array([-2.97, -2.97, -2.97], dtype="Float64")
    rows = [
        ("A", "BILI", 20, 2.0, 1.0, 2, False),
        ("A", "ALB", 20, 0.6, 0.9, 1, False),
        ("B", "BILI", 20, 2.0, 1.0, 2, False),
        ("B", "ALB", 25, 0.6, 0.9, 1, False),
        ("C", "BILI", 30, 1.0, 1.0, 0, False),
        ("C", "ALB", 30, 0.9, 0.9, 0, False),
    ]
    made = estimate(adam, labs(*rows))
    assert n(made, "lab.exposed.albi.worsened") == 1
    assert value(made.ard, "liver.lab.exposed.albi.worsened.percent")["value"] == 100
    assert n(made, "lab.unexposed.albi.worsened") == 0
    near = estimate(adam, labs(*[(*row[:6], True) for row in rows]))
    assert value(near.ard, "liver.lab.exposed.albi.total")["value"] == 0
