"""ARD and curves for the tests of figures and notebooks, made by the repository's own estimators.

`with_arms` has 260 made-up patients; `without_arms` are the 227 real ones of Li 2014.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sorafenib_rfa.clean.ledger import Step, build_ledger
from sorafenib_rfa.config.load import Cohort, load_plan, load_study, read_yaml, validate
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ard import as_ard
from sorafenib_rfa.estimates.flow import estimate_flow
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

ROOT = Path(__file__).parents[2]
RFA = pd.Timestamp("2012-03-01")
TERMS = {
    "Palmar-plantar erythrodysesthesia syndrome": ("Skin and subcutaneous tissue disorders", 0.45, 0.01),
    "Diarrhea": ("Gastrointestinal disorders", 0.40, 0.08),
    "Hypertension": ("Vascular disorders", 0.25, 0.12),
    "Fatigue": ("General disorders and administration site conditions", 0.30, 0.20),
    "Alopecia": ("Skin and subcutaneous tissue disorders", 0.22, 0.0),
    "Alanine aminotransferase increased": ("Investigations", 0.18, 0.16),
    "Abdominal pain": ("Gastrointestinal disorders", 0.12, 0.13),
    "Fever": ("General disorders and administration site conditions", 0.05, 0.07),
    "Platelet count decreased": ("Investigations", 0.10, 0.06),
}


@dataclass(frozen=True)
class Exhibits:
    """What figures and notebooks read."""

    ard: pd.DataFrame
    curves: dict[str, pd.DataFrame]
    cohort: Cohort
    plan: Plan
    ledgers: dict[str, pd.DataFrame]


@functools.cache
def _study():
    return load_study(ROOT, {"cohort": "hcc_resection", "seed": 1, "publication_date": "2024-01-01"})


def quick(plan: Plan) -> Plan:
    """Return a plan with few resamples and imputations: exhibits do not care how precise they are."""
    assert plan.sensitivity is not None
    choices = plan.sensitivity.specifications.model_copy(update={"imputations": 2})
    settings = plan.sensitivity.model_copy(update={"imputations": 2, "specifications": choices})
    return plan.model_copy(update={"bootstrap_resamples": 200, "sensitivity": settings})


@functools.cache
def with_arms(wrong: str = "") -> Exhibits:
    """Return the exhibits' input for a cohort that compares treatments; few bootstrap resamples.

    `wrong` is what :func:`estimates_data.break_cohort` does to it.
    """
    from ablation_data import adtum
    from estimates_data import adrecur, break_cohort, estimate_treated, laboratory, sessions

    from sorafenib_rfa.estimates.agreement import estimate_agreement
    from sorafenib_rfa.estimates.baseline import estimate_baseline
    from sorafenib_rfa.estimates.benefit_risk import estimate_benefit_risk
    from sorafenib_rfa.estimates.efficacy import estimate_efficacy
    from sorafenib_rfa.estimates.repeat_rfa import estimate_repeat_rfa
    from sorafenib_rfa.estimates.sensitivity import estimate_sensitivity
    from sorafenib_rfa.estimates.subgroups import estimate_subgroups
    from sorafenib_rfa.estimates.target_trial import estimate_target_trial
    from sorafenib_rfa.estimates.time_to_event import estimate_time_to_event

    plan = quick(load_plan(ROOT, "synthetic", None))
    shown = "config/cohorts/synthetic/cohort.yaml"
    cohort = Cohort("synthetic", validate(CohortConfig, read_yaml(ROOT / shown, shown), shown), {})
    rng = np.random.default_rng(20140915)
    adsl = _adsl(rng, 260)
    adtte = _adtte(rng, adsl)
    break_cohort(adsl, adtte, wrong)
    ledgers = _ledgers(adsl, rng, cohort)
    ablations = _ablations(rng, adsl)
    adae = _adae(rng, adsl)
    adlb = laboratory(rng, adsl, np.full(len(adsl), 2400))
    treated = {"adsl": adsl, "adtte": adtte, "adae": adae, "adex": _adex(adsl), "adlb": adlb}
    treated["adtum"] = adtum(_recurred(adsl, adtte))
    agreement = pd.read_csv(ROOT / "validation/agreement.csv", dtype=str, keep_default_na=False)
    config, name = cohort.config, "synthetic"
    baseline = estimate_baseline(adsl, plan, config, name, "records/baseline.json")
    given = {"adsl": adsl, "plan": plan, "cohort": config, "cohort_name": name, "seed": 1}
    timed = given | {"adtte": adtte}
    compared = timed | {"weights": baseline.curves["weights"]}
    events = {"adrecur": adrecur(adsl), "ablations": sessions(adsl)}
    repeated = given | events | {"weights": baseline.curves["weights"]}
    parts = [
        estimate_flow(**ledgers, cohort=config, cohort_name=name, record="records/flow.json"),
        baseline,
        estimate_efficacy(**compared, record="records/efficacy.json"),
        estimate_time_to_event(**compared, record="records/time_to_event.json"),
        estimate_subgroups(**compared, record="records/subgroups.json"),
        estimate_target_trial(**timed, record="records/target_trial.json"),
        estimate_sensitivity(**compared, ablations=ablations, record="records/sensitivity.json"),
        estimate_repeat_rfa(**repeated, record="records/repeat_rfa.json"),
        estimate_agreement(
            agreement.astype({"values": int}), name, "records/agreement.json", shown_as="validation/agreement.csv"
        ),
        *estimate_treated(treated, plan, name).values(),
        estimate_benefit_risk(**timed, adae=adae, adlb=adlb, record="records/benefit_risk.json"),
    ]
    return _collected(parts, cohort, plan, ledgers)


@functools.cache
def without_arms() -> Exhibits:
    """Return the exhibits' input for the real cohort without treatment arms, from its raw file on."""
    from sorafenib_rfa.adam import build_adam
    from sorafenib_rfa.clean import clean_cohort
    from sorafenib_rfa.config.paths import raw_folder
    from sorafenib_rfa.estimates.baseline import estimate_baseline
    from sorafenib_rfa.estimates.prognosis import estimate_prognosis
    from sorafenib_rfa.ingest import ingest_site

    study = _study()
    cohort, plan = study.cohorts["hcc_resection"], study.plans["hcc_resection"]
    ingested = {
        name: ingest_site(
            ROOT / raw_folder(cohort, name), name, site, cohort.config, shown_folder=raw_folder(cohort, name)
        )
        for name, site in cohort.sites.items()
    }
    cleaned = clean_cohort(ingested, cohort, plan)
    adam = build_adam(cleaned.tables, cohort, plan)
    ledgers = {"attrition": cleaned.attrition, "fates": cleaned.fates, "quarantine": cleaned.quarantine}
    parts = [
        estimate_flow(**ledgers, cohort=cohort.config, cohort_name="hcc_resection", record="records/flow.json"),
        estimate_baseline(adam["adsl"], plan, cohort.config, cohort.name, "records/baseline.json"),
        estimate_prognosis(
            adam["adtte"], adam["adsl"], plan, cohort.config, cohort.name, "records/prognosis.json", seed=1
        ),
    ]
    return _collected(parts, cohort, plan, ledgers)


@functools.cache
def assigned_arms() -> Exhibits:
    """Return the exhibits' input for the randomised trial, from the packaged data on; few bootstrap resamples."""
    from tempfile import TemporaryDirectory

    from sorafenib_rfa.adam import build_adam
    from sorafenib_rfa.clean import clean_cohort
    from sorafenib_rfa.estimates.baseline import estimate_baseline
    from sorafenib_rfa.estimates.efficacy import estimate_efficacy
    from sorafenib_rfa.estimates.published import quote_published
    from sorafenib_rfa.estimates.subgroups import estimate_subgroups
    from sorafenib_rfa.estimates.time_to_event import estimate_time_to_event
    from sorafenib_rfa.ingest import ingest_site
    from sorafenib_rfa.public_data import colon_export, load_colon

    study = load_study(ROOT, {"cohort": "colon_adjuvant", "seed": 1, "publication_date": "2024-01-01"})
    cohort = study.cohorts["colon_adjuvant"]
    plan = study.plans["colon_adjuvant"].model_copy(update={"bootstrap_resamples": 200})
    config, name = cohort.config, cohort.name
    with TemporaryDirectory() as folder:
        (Path(folder) / "colon.csv").write_bytes(colon_export(load_colon()))
        ingested = {
            site: ingest_site(Path(folder), site, mapped, config, shown_folder=config.raw)
            for site, mapped in cohort.sites.items()
        }
    cleaned = clean_cohort(ingested, cohort, plan)
    adam = build_adam(cleaned.tables, cohort, plan)
    ledgers = {"attrition": cleaned.attrition, "fates": cleaned.fates, "quarantine": cleaned.quarantine}
    baseline = estimate_baseline(adam["adsl"], plan, config, name, "records/baseline.json")
    compared = {
        "adsl": adam["adsl"],
        "adtte": adam["adtte"],
        "weights": baseline.curves["weights"],
        "plan": plan,
        "cohort": config,
        "cohort_name": name,
        "seed": 1,
    }
    parts = [
        estimate_flow(**ledgers, cohort=config, cohort_name=name, record="records/flow.json"),
        baseline,
        estimate_efficacy(**compared, record="records/efficacy.json"),
        estimate_time_to_event(**compared, record="records/time_to_event.json"),
        estimate_subgroups(**compared, record="records/subgroups.json"),
        quote_published(config, name, "records/published.json"),
    ]
    return _collected(parts, cohort, plan, ledgers)


def _collected(parts, cohort: Cohort, plan: Plan, ledgers: dict[str, pd.DataFrame]) -> Exhibits:
    ard = as_ard(pd.concat([part.ard for part in parts]))
    curves = {name: frame for part in parts for name, frame in part.curves.items()}
    return Exhibits(ard, curves, cohort, plan, ledgers)


def _adsl(rng: np.random.Generator, n: int) -> pd.DataFrame:
    size = rng.gamma(6, 0.4, n)
    afp = np.exp(rng.normal(3, 1.5, n))
    treated = rng.random(n) < 1 / (1 + np.exp(-(-1.1 + 0.35 * (size - 2.4) + 0.25 * (np.log(afp) - 3))))
    delay = np.where(treated, rng.integers(3, 60, n), 0)
    text = lambda values: pd.array(values, dtype="string")  # noqa: E731
    adsl = pd.DataFrame(
        {
            "STUDYID": "synthetic",
            "USUBJID": text([f"synthetic-s{i % 3}-{i:04d}" for i in range(n)]),
            "SITEID": text([f"s{i % 3}" for i in range(n)]),
            "REGION": text([("Asia", "Europe", "North America")[i % 3] for i in range(n)]),
            "TRT01A": text(np.where(treated, SORAFENIB, CONTROL)),
            "LMTRT": text(np.where(treated, SORAFENIB, CONTROL)),
            "EXPOSFL": text(np.where(treated, "Y", "N")),
            "TRTSDT": RFA,
            "EXSTDT": pd.Series(RFA + pd.to_timedelta(delay, "D")).where(treated),
            "AGE": rng.normal(62, 9, n).round(1),
            "SEX": text(rng.choice(["M", "F"], n, p=[0.75, 0.25])),
            "ETIOLOGY": text(rng.choice(["HBV", "HCV", "Alcohol", "Other"], n, p=[0.5, 0.25, 0.15, 0.1])),
            "ANTIVFL": text(rng.choice(["Y", "N"], n)),
            "RECURFL": text(rng.choice(["Y", "N"], n, p=[0.3, 0.7])),
            "CIRRHFL": text(rng.choice(["Y", "N"], n, p=[0.8, 0.2])),
            "CPCLASS": text(rng.choice(["A", "B"], n, p=[0.85, 0.15])),
            "ALBISC": rng.normal(-2.6, 0.4, n),
            "BCLC": text(rng.choice(["0", "A", "B1"], n, p=[0.2, 0.6, 0.2])),
            "TUMSIZE": size,
            "TUMCOUNT": rng.integers(1, 4, n).astype(float),
            "AFPBL": afp,
            "PLTBL": rng.normal(140, 45, n),
            "ALTBL": rng.gamma(4, 10, n),
            "LSTALVDT": RFA + pd.Timedelta(days=2400),
            "DTHDT": pd.NaT,
            "RECDT": pd.NaT,
        }
    )
    adsl.loc[rng.random(n) < 0.04, "ALBISC"] = np.nan
    adsl["LMFL"] = "Y"
    return adsl.astype({"LMFL": "string"})


def _adtte(rng: np.random.Generator, adsl: pd.DataFrame) -> pd.DataFrame:
    n = len(adsl)
    treated = (adsl["TRT01A"] == SORAFENIB).to_numpy()
    kinds = np.stack([rng.weibull(0.9, n) * scale for scale in (130, 45, 260, 190)], axis=1)
    kinds[:, 1] *= np.where(treated, 1.35, 1.0)
    kinds += 2.2
    follow_up = rng.uniform(20, 84, n)
    first, kind = kinds.min(axis=1), kinds.argmin(axis=1) + 1
    rfs = pd.DataFrame(
        {"PARAMCD": "RFS", "AVAL": np.minimum(first, follow_up), "EVNTCD": np.where(first <= follow_up, kind, 0)}
    )
    rfs["CNSR"] = (rfs["EVNTCD"] == 0).astype(int)
    ttr = rfs.assign(PARAMCD="TTR", CNSR=(~rfs["EVNTCD"].isin([1, 2, 3])).astype(int))
    death = first + rng.weibull(1.0, n) * 40
    death = np.where(kind == 4, first, death)
    os = pd.DataFrame({"PARAMCD": "OS", "AVAL": np.minimum(death, follow_up), "CNSR": (death > follow_up).astype(int)})
    os["EVNTCD"] = np.where(os["CNSR"] == 0, 4, 0)
    frames = [
        frame.assign(
            USUBJID=adsl["USUBJID"].to_numpy(),
            LMFL="Y",
            # a recurrence was last excluded up to three months before it was seen
            INTLO=(frame["AVAL"] - 3).clip(lower=0).where(frame["EVNTCD"].isin([1, 2, 3])),
            INTHI=frame["AVAL"].where(frame["EVNTCD"].isin([1, 2, 3])),
            **{c: adsl[c].to_numpy() for c in ("SITEID", "TRT01A", "LMTRT")},
        )
        for frame in (rfs, ttr, os)
    ]
    return pd.concat(frames, ignore_index=True).sort_values(["USUBJID", "PARAMCD"], ignore_index=True)


def _recurred(adsl: pd.DataFrame, adtte: pd.DataFrame) -> pd.DataFrame:
    """Return ADSL with the recurrences of ADTTE, which the drug's analyses do without."""
    first = adtte[adtte["PARAMCD"] == "RFS"].set_index("USUBJID").reindex(adsl["USUBJID"])
    site = first["EVNTCD"].map({1: "LTP", 2: "IDR", 3: "EHS"})
    day = np.ceil(first["AVAL"].astype(float) * DAYS_PER_MONTH)
    when = pd.Series(RFA + pd.to_timedelta(day, "D").to_numpy()).where(site.notna().to_numpy())
    return adsl.assign(RECSITE=pd.array(site, dtype="string"), RECDT=when.astype("datetime64[s]"))


def _adae(rng: np.random.Generator, adsl: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for patient in adsl.itertuples():
        exposed = patient.EXPOSFL == "Y"
        start = patient.EXSTDT if exposed else RFA
        for term, (soc, on, off) in TERMS.items():
            if rng.random() < (on if exposed else off):
                rows.append(
                    {
                        "USUBJID": patient.USUBJID,
                        "AEDECOD": term,
                        "AEBODSYS": soc,
                        "ATOXGR": int(rng.choice([1, 2, 3, 4], p=[0.45, 0.35, 0.17, 0.03])),
                        "AESER": "N",
                        "AREL": "Y" if exposed else "N",
                        "ARELRFA": "N",
                        "AEACN": "none",
                        "AEOUT": "recovered",
                        "ASTDT": start + pd.Timedelta(days=int(rng.integers(1, 200))),
                        "TRTEMFL": "Y",
                    }
                )
    frame = pd.DataFrame(rows).assign(SRCFILE="events.csv", SRCSHEET=None, SRCROW=range(2, len(rows) + 2))
    return frame.assign(AENDT=frame["ASTDT"] + pd.Timedelta(days=30))


def _adex(adsl: pd.DataFrame) -> pd.DataFrame:
    exposed = adsl[adsl["EXPOSFL"] == "Y"]
    return pd.DataFrame(
        {
            "USUBJID": exposed["USUBJID"],
            "EXSEQ": 1,
            "EXTRT": "sorafenib",
            "EXSTDT": exposed["EXSTDT"],
            "EXENDT": exposed["EXSTDT"] + pd.Timedelta(days=365),
            "EXDOSE": 800.0,
            "EXDURD": 366.0,
            "EXADJ": "planned",
        }
    ).reset_index(drop=True)


def _ablations(rng: np.random.Generator, adsl: pd.DataFrame) -> pd.DataFrame:
    grades = rng.choice(["I", "IIIa"], len(adsl))
    hurt = rng.random(len(adsl)) < 0.08
    return pd.DataFrame(
        {
            "USUBJID": adsl["USUBJID"],
            "ablation_date": RFA,
            "complication_term": pd.Series(np.where(hurt, "Bleeding", None), dtype="string"),
            "complication_clavien_dindo": pd.Series(np.where(hurt, grades, None), dtype="string"),
            "src_file": "ablations.csv",
            "src_sheet": None,
            "src_row": range(2, len(adsl) + 2),
        }
    )


def _ledgers(adsl: pd.DataFrame, rng: np.random.Generator, cohort: Cohort) -> dict[str, pd.DataFrame]:
    """Return ledgers in which 90 more patients were seen and left at the cohort's own steps."""
    out = [f"synthetic-s{i % 3}-x{i:03d}" for i in range(90)]
    names = [*adsl["USUBJID"].astype(str), *out]
    arms = pd.Series([*adsl["TRT01A"].astype(str), *rng.choice([SORAFENIB, CONTROL], 90)], index=names)
    eligibility = [(step.id, step.label, "eligibility") for step in cohort.config.eligibility]
    steps = [("unusable", "Records that contradict each other in what decides eligibility", "clean"), *eligibility]
    chosen = rng.integers(0, len(steps), 90)
    ledger = [
        Step(name, reason, stage, frozenset(who for who, k in zip(out, chosen, strict=True) if k == number))
        for number, (name, reason, stage) in enumerate(steps)
    ]
    seen = pd.DataFrame(
        {
            "USUBJID": names,
            "site": [name.split("-")[1] for name in names],
            "subject_id": [name.split("-")[2] for name in names],
            "src_file": "patients.csv",
            "src_sheet": None,
            "src_row": range(2, len(names) + 2),
        }
    ).astype({"src_row": "Int64"})
    attrition, fates = build_ledger(seen, arms, ledger)
    quarantine = pd.DataFrame(
        {
            "site": ["s0", "s0", "s1"],
            "file": ["labs.csv", "labs.csv", "patients.xlsx"],
            "sheet": [None, None, "Patients"],
            "row": [12, 40, 7],
            "column": ["Value", "Date", "Age"],
            "value": ["n.d.", "31.02.2014", "212"],
            "table": ["labs", "labs", "patients"],
            "subject_id": ["0003", "0009", "0010"],
            "rule": ["not_a_number", "unparsable_date", "impossible_value"],
            "reason": ["not a number", "no such day", "age beyond 120 years"],
            "scope": ["value", "row", "value"],
        }
    )
    return {"attrition": attrition, "fates": fates, "quarantine": quarantine}
