"""Complications of ablation, by hand."""

from __future__ import annotations

import pandas as pd
from estimates_data import PLAN, estimated, small_adam, value, with_origin

from sorafenib_rfa.estimates.ablation import estimate_ablation

ADAM, PARTS = estimated()
ARD = PARTS["ablation"].ard
DAY = pd.Timedelta(days=1)


def estimate(adam, ablations):
    return estimate_ablation(ablations, adam["adae"], adam["adsl"], adam["adex"], PLAN, "synthetic", "r")


def test_complications_of_ablation_by_session_and_patient():
    """Two sessions of one patient, three tumours: the worst grade of a session counts."""
    adam = small_adam()
    adsl = adam["adsl"]
    patient = adsl.iloc[0]
    day = patient["TRTSDT"]
    ablations = pd.DataFrame(
        {
            "USUBJID": [*([patient["USUBJID"]] * 3), "elsewhere"],
            "ablation_date": [day, day, day + 200 * DAY, day],
            "complication_term": ["Pain", "Bleeding", pd.NA, "Abscess"],
            "complication_clavien_dindo": ["I", "IIIa", pd.NA, "V"],
        }
    ).astype({"complication_term": "string", "complication_clavien_dindo": "string"})
    made = estimate(adam, with_origin(ablations, "rfa.csv"))
    ard = made.ard
    assert value(ard, "ablation.session.total")["value"] == 2
    assert value(ard, "ablation.session.any.n")["value"] == 1
    assert value(ard, "ablation.session.major.percent")["value"] == 50
    assert value(ard, "ablation.session.clavien_dindo_i.n")["value"] == 0
    assert value(ard, "ablation.session.clavien_dindo_iiia.n")["value"] == 1
    assert value(ard, "ablation.patient.exposed.any.n")["value"] == 1
    assert value(ard, "ablation.patient.total")["value"] == 1
    # patients who were not analysed do not count
    assert value(ard, "ablation.session.clavien_dindo_v.n")["value"] == 0
    # a session is named by the row of its worst complication: the bleeding stands in row 3
    rows = made.members.set_index("ard_id")["src_row"]
    assert rows["ablation.session.total"].tolist() == [3, 4]
    assert rows["ablation.session.any.n"] == 3


def test_rfa_related_events_are_those_within_the_plans_days_of_a_session():
    adam = small_adam()
    adsl = adam["adsl"]
    adam["adae"]["ARELRFA"] = "Y"
    ablations = pd.DataFrame(
        {
            "USUBJID": adsl["USUBJID"],
            "ablation_date": adsl["TRTSDT"],
            "complication_term": pd.array([pd.NA] * 3, dtype="string"),
            "complication_clavien_dindo": pd.array([pd.NA] * 3, dtype="string"),
        }
    )
    ard = estimate(adam, with_origin(ablations, "rfa.csv")).ard
    # day 29 after the session, and day 49
    assert value(ard, "ablation.related_event.exposed.any.n")["value"] == 1
    assert value(ard, "ablation.related_event.unexposed.any.n")["value"] == 0
