"""From rows as a centre recorded them, through cleaning and ADaM, to the ARD: recounted from the rows themselves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from clean_helpers import clean, dose, event, image, lab, whole
from estimates_data import PLAN, estimate_treated, value
from ingest_helpers import cohort_config, site_config

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.estimates.flow import estimate_flow
from sorafenib_rfa.exhibits.tables import make_table

RFA = pd.Timestamp("2015-03-01")
N = 60


def day(n: int) -> str:
    return str((RFA + pd.Timedelta(days=n)).date())


@pytest.fixture(scope="module")
def made():
    """60 patients of two centres; what happened to each follows from its number."""
    rng = np.random.default_rng(3)
    sites = {}
    for site in ("alpha", "beta"):
        rows = whole(*map(str, range(N // 2)))
        for number, person in enumerate(rows["patients"]):
            subject = person["subject_id"]
            person |= {
                "sex": "MF"[number % 2],
                "largest_tumour_cm": float(rng.uniform(1, 4.9)),
                "birth_date": f"{rng.integers(1940, 1970)}-05-05",
                "etiology": ["HBV", "HCV", "Alcohol", "Other"][rng.integers(4)],
                "recurrent_hcc": "YN"[rng.integers(2)],
            }
            rows["labs"] += [
                lab(subject, "2015-02-20", "PLT", float(rng.uniform(60, 250)), unit="10^9/L"),
                lab(subject, "2015-02-20", "AFP", float(rng.uniform(2, 400)), unit="ng/mL"),
                lab(subject, day(70), "ALT", 300.0, uln=40.0),
            ]
            if number % 3 == 0:  # started on day 20, stopped on day 119
                rows["drug_exposure"].append(dose(subject, day(20), day(119), change_reason="adverse_event"))
                rows["adverse_events"].append(event(subject, start_date=day(40), grade=3, related_drug="Y"))
            if number % 5 == 0:  # recurrence seen after day 200
                rows["imaging"].append(image(subject, day(200 + 7 * number), "LTP"))
            if number % 10 == 9:  # died on day 30
                person |= {"vital_status": "dead", "death_date": day(30), "last_contact_date": day(30)}
                rows["imaging"] = [r for r in rows["imaging"] if r["subject_id"] != subject]
                for table in ("labs", "drug_exposure", "adverse_events"):
                    dates = ("sample_date", "end_date", "end_date")
                    key = dict(zip(("labs", "drug_exposure", "adverse_events"), dates, strict=True))[table]
                    rows[table] = [r for r in rows[table] if r["subject_id"] != subject or r[key] < day(30)]
        rows["patients"][1] |= {"prior_systemic_therapy": "Y"}
        sites[site] = rows
    modules = ["treatment", "ablations", "imaging", "labs", "adverse_events"]
    cleaned = clean(sites, modules=modules)
    config = cohort_config(modules=modules, tables=["baseline", "efficacy", "safety"])
    study = Cohort("study", config, {site: site_config() for site in sites})
    adam = build_adam(cleaned.tables, study, PLAN)
    baseline = estimate_baseline(adam["adsl"], PLAN, config, "study", "r")
    parts = [
        estimate_flow(cleaned.attrition, cleaned.fates, cleaned.quarantine, config, "study", "r"),
        baseline,
        estimate_efficacy(adam["adtte"], adam["adsl"], baseline.curves["weights"], PLAN, config, "study", "r", seed=1),
        *estimate_treated(adam, PLAN, "study").values(),
    ]
    return sites, collect_ard(part.ard for part in parts), config


def numbers() -> list[int]:
    """Return the analysed patients' numbers at one centre: number 1 had systemic therapy before."""
    return [n for n in range(N // 2) if n != 1]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("flow.patients.screened", N),
        ("flow.patients.analysed", N - 2),
        ("flow.patients.site.beta.excluded", 1),
        ("baseline.table1.sorafenib.n", 2 * sum(n % 3 == 0 and n % 10 != 9 for n in numbers())),
        ("baseline.table1.sex.m.n", 2 * sum(n % 2 == 0 for n in numbers())),
        ("efficacy.landmark.n", 2 * sum(n % 10 != 9 for n in numbers())),
        ("efficacy.landmark.not_reached.died", 2 * sum(n % 10 == 9 for n in numbers())),
        ("efficacy.rfs.events", 2 * sum(n % 5 == 0 for n in numbers())),
        ("efficacy.first_event.sorafenib.ltp.n", 2 * sum(n % 15 == 0 for n in numbers())),
        ("efficacy.os.events", 0),
        ("safety.population.exposed.n", 2 * sum(n % 3 == 0 and n % 10 != 9 for n in numbers())),
        ("safety.summary.exposed.drug_related_grade_3_5.n", 2 * sum(n % 3 == 0 and n % 10 != 9 for n in numbers())),
        ("exposure.dosing.exposed.stopped_adverse_event.percent", 100),
        ("ablation.session.total", N - 2),
        ("liver.lab.exposed.alt.grade_3_4.percent", 100),
    ],
)
def test_counts_from_the_rows_to_the_ard(made, identifier, expected):
    assert value(made[1], identifier)["value"] == expected


def test_duration_of_exposure_in_months(made):
    row = value(made[1], "exposure.dosing.exposed.duration.median")
    assert row["value"] == pytest.approx(100 / 30.4375)


def test_tables_can_be_made_of_it(made):
    _, ard, config = made
    for name in ("baseline", "efficacy", "safety", "attrition", "sites"):
        made_table = make_table(name, ard=ard, cohort=config, plan=PLAN)
        assert made_table.markdown.count("\n") > 4
    assert "not estimable" in make_table("efficacy", ard=ard, cohort=config, plan=PLAN).markdown
