"""Exposure to the drug: recounted with plain pandas, durations by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from estimates_data import PLAN, estimated, small_adam, value

from sorafenib_rfa.estimates.exposure import estimate_exposure

ADAM, PARTS = estimated()
ARD = PARTS["exposure"].ard
DAY = pd.Timedelta(days=1)


def estimate(adam):
    return estimate_exposure(adam["adex"], adam["adsl"], adam["adae"], PLAN, "synthetic", "r")


def test_exposure_by_hand():
    made = estimate(small_adam())
    assert value(made.ard, "exposure.dosing.exposed.duration.median")["value"] == pytest.approx(31 / 30.4375)
    assert value(made.ard, "exposure.dosing.exposed.daily_dose_mg.mean")["value"] == pytest.approx(600)
    assert value(made.ard, "exposure.dosing.exposed.relative_dose_intensity.mean")["value"] == pytest.approx(75)
    assert value(made.ard, "exposure.dosing.exposed.stopped_adverse_event.n")["value"] == 1
    assert value(made.ard, "exposure.dosing.exposed.ongoing.n")["value"] == 0


def test_reductions_and_interruptions_recounted():
    adex = ADAM["adex"]
    reduced = adex.groupby("USUBJID")["EXDOSE"].apply(lambda dose: (dose.diff() < 0).any()).sum()
    assert value(ARD, "exposure.dosing.exposed.reduced.n")["value"] == reduced
    assert value(ARD, "exposure.dosing.exposed.interrupted.n")["value"] == 0
    adex = adex.copy()
    second = adex["EXSEQ"] == 2
    adex.loc[second, "EXSTDT"] += 7 * DAY
    made = estimate({**ADAM, "adex": adex})
    assert value(made.ard, "exposure.dosing.exposed.interrupted.n")["value"] == second.sum()


def test_patients_still_on_the_drug_are_censored_not_stopped():
    last = ADAM["adex"].groupby("USUBJID").tail(1)
    ongoing = (last["EXADJ"] == "ongoing").sum()
    assert value(ARD, "exposure.dosing.exposed.ongoing.n")["value"] == ongoing
    all_stopped = ADAM["adex"].assign(EXADJ="progression")
    made = estimate({**ADAM, "adex": all_stopped})
    before = value(ARD, "exposure.dosing.exposed.duration.median")["value"]
    assert before > value(made.ard, "exposure.dosing.exposed.duration.median")["value"]
