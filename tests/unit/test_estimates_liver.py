"""Liver function by exposure, by hand."""

from __future__ import annotations

import pandas as pd
from estimates_data import PLAN, estimated, small_adam, value

from sorafenib_rfa.estimates.liver import estimate_liver

ADAM, PARTS = estimated()
ARD = PARTS["liver"].ard
DAY = pd.Timedelta(days=1)


def estimate(adam, adlb):
    return estimate_liver(adlb, adam["adsl"], adam["adae"], adam["adex"], PLAN, "synthetic", "r")


def labs(*rows: tuple) -> pd.DataFrame:
    """Return ADLB rows: patient, test, days since RFA, multiple of ULN, the same at baseline, grade, near RFA."""
    rfa = pd.Timestamp("2016-01-01")
    uln = {"ALT": 40.0, "BILI": 20.0, "ALB": 50.0}
    return pd.DataFrame(
        {
            "USUBJID": pd.array([r[0] for r in rows], dtype="string"),
            "PARAMCD": pd.array([r[1] for r in rows], dtype="string"),
            "ADT": [rfa + r[2] * DAY for r in rows],
            "ADY": [r[2] + 1 for r in rows],
            "AVAL": [r[3] * uln[r[1]] for r in rows],
            "ANRHI": [uln[r[1]] for r in rows],
            "BASE": [r[4] * uln[r[1]] for r in rows],
            "ATOXGR": pd.array([r[5] for r in rows], dtype="Int64"),
            "BTOXGR": pd.array([0 for _ in rows], dtype="Int64"),
            "PERIRFFL": pd.array(["Y" if r[6] else "N" for r in rows], dtype="string"),
        }
    )


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
    assert value(made.ard, "liver.lab.exposed.hy.uln.n")["value"] == 1
    assert value(made.ard, "liver.lab.exposed.hy.uln.percent")["value"] == 50
    assert value(made.ard, "liver.lab.unexposed.hy.uln.n")["value"] == 0
    peaks = made.curves["liver_peaks"]
    assert peaks.loc[peaks["group"] == "exposed", "aminotransferase_uln"].tolist() == [1.0, 4.0]
    # grade 3 of B came after an ablation; what is counted is the result of day 40
    assert value(made.ard, "liver.lab.exposed.alt.grade_3_4.n")["value"] == 0
    assert value(made.ard, "liver.lab.exposed.alt.worsened.percent")["value"] == 50


def test_liver_signal_by_the_patients_own_baseline():
    """Cirrhosis: bilirubin 2.5 times the limit at 1.5 times baseline is no signal by the patient's own baseline."""
    adlb = labs(("A", "ALT", 20, 4.0, 0.5, 2, False), ("A", "BILI", 25, 2.4, 1.6, 2, False))
    made = estimate(small_adam(), adlb)
    assert value(made.ard, "liver.lab.exposed.hy.uln.n")["value"] == 1
    assert value(made.ard, "liver.lab.exposed.hy.baseline.n")["value"] == 0


def test_results_outside_the_time_at_risk_do_not_count():
    adlb = labs(("A", "ALT", 5, 10.0, 0.5, 3, False), ("A", "ALT", 95, 10.0, 0.5, 3, False))
    made = estimate(small_adam(), adlb)
    assert not made.ard["ard_id"].str.startswith("liver.lab.exposed.alt").any()


def test_albi_worsening_uses_results_of_one_day():
    """ALBI 0.66 log10(20) - 0.085 x 45 = -2.97, grade 1; with bilirubin 40 and albumin 30 it is -1.49, grade 2."""
    adam = small_adam()
    adam["adsl"]["ALBISC"] = pd.array([-2.97, -2.97, -2.97], dtype="Float64")
    adlb = labs(
        ("A", "BILI", 20, 2.0, 1.0, 2, False),
        ("A", "ALB", 20, 0.6, 0.9, 1, False),
        ("B", "BILI", 20, 2.0, 1.0, 2, False),
        ("B", "ALB", 25, 0.6, 0.9, 1, False),
        ("C", "BILI", 30, 1.0, 1.0, 0, False),
        ("C", "ALB", 30, 0.9, 0.9, 0, False),
    )
    made = estimate(adam, adlb)
    assert value(made.ard, "liver.lab.exposed.albi.worsened.n")["value"] == 1
    assert value(made.ard, "liver.lab.exposed.albi.worsened.percent")["value"] == 100
    assert value(made.ard, "liver.lab.unexposed.albi.worsened.n")["value"] == 0
