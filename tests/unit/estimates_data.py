"""ADaM-shaped cohorts for the tests of estimates and tables, small enough to recount by hand."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
from ablation_data import adproc, adtum

from sorafenib_rfa.adam.adrecur import build_adrecur
from sorafenib_rfa.clean.exposure import emergence
from sorafenib_rfa.config.load import read_yaml, validate
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.ablation import estimate_ablation
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.efficacy import estimate_efficacy
from sorafenib_rfa.estimates.exposure import estimate_exposure
from sorafenib_rfa.estimates.liver import estimate_liver
from sorafenib_rfa.estimates.safety import estimate_safety
from sorafenib_rfa.estimates.target_trial import estimate_target_trial
from sorafenib_rfa.vocabulary import ARMS, CONTROL, DAYS_PER_MONTH, SORAFENIB

ROOT = Path(__file__).parents[2]
PLAN = validate(Plan, read_yaml(ROOT / "config/plan.yaml", "plan.yaml"), "plan.yaml")


def cohort(name: str = "synthetic", **changes: object) -> CohortConfig:
    """Return the configuration of a cohort of the repository, some keys changed."""
    path = ROOT / "config/cohorts" / name / "cohort.yaml"
    config = validate(CohortConfig, read_yaml(path, "cohort.yaml"), "cohort.yaml")
    return config.model_copy(update=changes)


def plan(**changes: object) -> Plan:
    """Return the repository's plan, some keys changed."""
    return PLAN.model_copy(update=changes)


SCALES = {
    "clavien_dindo": ["alpha", "beta", "gamma", "s0", "s1", "s2"],
    "cirse": ["beta", "gamma", "s0", "s1"],
    "sir": ["alpha", "gamma", "s2"],
}
"""Sites of made-up cohorts that record each classification of complications, as :mod:`ablation_data` makes them."""


@cache
def estimated() -> tuple[dict[str, pd.DataFrame], dict[str, Estimates]]:
    """Return a simulated cohort of 700 and the estimates of all its parts (made once)."""
    adam = make_adam()
    config, name = cohort(), "synthetic"
    baseline = estimate_baseline(adam["adsl"], PLAN, config, name, "records/baseline.json")
    return adam, {
        "baseline": baseline,
        "efficacy": estimate_efficacy(
            adam["adtte"], adam["adsl"], baseline.curves["weights"], PLAN, config, name, "records/efficacy.json", seed=7
        ),
        **estimate_treated(adam, PLAN, name),
    }


def estimate_treated(adam: Mapping[str, pd.DataFrame], the_plan: Plan, name: str) -> dict[str, Estimates]:
    """Return the estimates of the parts on safety."""
    given = {"adsl": adam["adsl"], "adae": adam["adae"], "adex": adam["adex"], "plan": the_plan, "cohort_name": name}
    return {
        "safety": estimate_safety(**given, record="records/safety.json"),
        "exposure": estimate_exposure(**given, adtte=adam["adtte"], record="records/exposure.json"),
        "ablation": estimate_ablation(
            **given,
            adproc=adam["adproc"] if "adproc" in adam else adproc(adam["adsl"]),
            adtum=adam["adtum"] if "adtum" in adam else adtum(adam["adsl"]),
            complication_scales=SCALES,
            record="records/ablation.json",
        ),
        "liver": estimate_liver(**given, adlb=adam["adlb"], record="records/liver.json"),
    }


@cache
def emulated_trial() -> Estimates:
    """Return the emulated trial of the same cohort of 700, with few bootstrap resamples."""
    adam = estimated()[0]
    few = plan(bootstrap_resamples=200)
    return estimate_target_trial(
        adam["adsl"], adam["adtte"], few, cohort(), "synthetic", "records/target_trial.json", seed=7
    )


def value(ard: pd.DataFrame, identifier: str) -> pd.Series:
    """Return the ARD row of an id."""
    rows = ard[ard["ard_id"] == identifier]
    assert len(rows) == 1, f"no row {identifier}"
    return rows.iloc[0]


def make_adam(
    n: int = 700,
    *,
    seed: int = 1,
    log_hr: float = 0.0,
    confounding: float = 0.5,
    missing: float = 0.03,
    mean_days: float = 700,
) -> dict[str, pd.DataFrame]:
    """Simulate ADSL, ADTTE, ADAE, ADEX and ablations in which sorafenib starts after a delay one must survive.

    Sicker patients (larger tumours, higher AFP) get sorafenib more often and recur earlier; `log_hr` acts from the
    first dose on. Dates are whole days; a recurrence is seen on the day it happens.
    """
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 1000, n), unit="D")
    size = np.round(rng.gamma(9, 0.3, n) + 0.3, 1)
    afp = np.round(10 ** rng.normal(1.5, 0.8, n), 1).clip(0.5)
    risk = 0.25 * (size - 3) + 0.3 * (np.log10(afp) - 1.5)
    wants = rng.random(n) < 1 / (1 + np.exp(-(-0.9 + confounding * 2 * risk)))
    delay = rng.integers(5, 58, n)
    base = rng.exponential(mean_days * np.exp(-confounding * risk))
    event_day = np.where(wants & (base > delay), delay + (base - delay) * np.exp(-log_hr), base)
    event_day = np.maximum(np.ceil(event_day), 1)
    death_day = np.maximum(np.ceil(rng.exponential(2500, n)), 2)
    censor_day = rng.integers(300, 2000, n)
    last_day = np.minimum(death_day, censor_day)
    died = death_day <= censor_day
    recurred = event_day <= last_day
    kind = rng.choice(["LTP", "IDR", "EHS"], n, p=[0.35, 0.55, 0.10])
    exposed = wants & (delay < np.where(recurred, event_day, last_day))
    landmark = PLAN.landmark_day
    at_landmark = ~(recurred & (event_day <= landmark)) & ~(died & (death_day <= landmark)) & (last_day >= landmark)

    def date(day: np.ndarray, where: np.ndarray) -> pd.Series:
        return pd.Series(start + pd.to_timedelta(day, unit="D")).where(pd.Series(where)).astype("datetime64[s]")

    def text(values: object, where: object = True) -> pd.Series:
        return pd.Series(np.asarray(values), dtype="string").where(pd.Series(np.broadcast_to(where, n)))

    site = rng.choice(["alpha", "beta", "gamma"], n)
    region = pd.Series(site).map({"alpha": "Asia", "beta": "Europe", "gamma": "North America"})
    subject = [f"{i:04d}" for i in range(n)]
    adsl = pd.DataFrame(
        {
            "STUDYID": "SYNTHETIC",
            "USUBJID": text([f"SYNTHETIC-{s}-{i}" for s, i in zip(site, subject, strict=True)]),
            "SUBJID": text(subject),
            "SITEID": text(site),
            "REGION": text(region),
            "TRT01A": text(np.where(exposed, *ARMS)),
            "EXPOSFL": text(np.where(exposed, "Y", "N")),
            "TRTSDT": date(np.zeros(n), np.ones(n, dtype=bool)),
            "EXSTDT": date(delay, exposed),
            "AGE": pd.Series(rng.integers(35, 85, n), dtype="Int64"),
            "SEX": text(rng.choice(["M", "F"], n, p=[0.8, 0.2])),
            "ETIOLOGY": text(rng.choice(["HBV", "HCV", "Alcohol", "Other"], n, p=[0.5, 0.25, 0.15, 0.1])),
            "ANTIVFL": text(rng.choice(["Y", "N"], n)),
            "CIRRHFL": text(rng.choice(["Y", "N"], n)),
            "RECURFL": text(rng.choice(["Y", "N"], n, p=[0.3, 0.7])),
            "TUMCOUNT": pd.Series(rng.integers(1, 4, n), dtype="Int64"),
            "TUMSIZE": pd.Series(size, dtype="Float64"),
            "BCLC": text(rng.choice(["0", "A", "B1"], n)),
            "CPCLASS": text(rng.choice(["A", "B"], n, p=[0.9, 0.1])),
            "ALBISC": pd.Series(np.round(rng.normal(-2.6, 0.4, n), 2), dtype="Float64"),
            "AFPBL": pd.Series(afp, dtype="Float64").where(pd.Series(rng.random(n) > missing)),
            "PLTBL": pd.Series(np.round(rng.normal(140, 50, n)).clip(20), dtype="Float64"),
            "ALTBL": pd.Series(np.round(rng.gamma(4, 10, n) + 5), dtype="Float64"),
            "DTHFL": text(np.where(died, "Y", "N")),
            "DTHDT": date(death_day, died),
            "LSTALVDT": date(last_day, np.ones(n, dtype=bool)),
            "RECDT": date(event_day, recurred),
            "RECSITE": text(kind, recurred),
            "LMFL": text(np.where(at_landmark, "Y", "N")),
            "LMTRT": text(np.where(exposed & (delay <= landmark), SORAFENIB, CONTROL), at_landmark),
        }
    )
    first_day = np.where(recurred, event_day, last_day)
    code = np.where(recurred, pd.Series(kind).map({"LTP": 1, "IDR": 2, "EHS": 3}), np.where(died, 4, 0))
    frames = []
    for paramcd in ("RFS", "TTR", "OS", "LTP", "IDR", "EHS"):
        own = np.where(died, 4, 0) if paramcd == "OS" else code
        seen = np.isin(own, [1, 2, 3]) & (paramcd != "OS")  # the examination before was up to 90 days earlier
        wanted = {"RFS": [1, 2, 3, 4], "TTR": [1, 2, 3], "OS": [4], "LTP": [1], "IDR": [2], "EHS": [3]}[paramcd]
        frames.append(
            adsl[["USUBJID", "SITEID", "TRT01A", "LMFL", "LMTRT"]].assign(
                PARAMCD=paramcd,
                AVAL=(last_day if paramcd == "OS" else first_day) / DAYS_PER_MONTH,
                CNSR=(~np.isin(own, wanted)).astype(int),
                EVNTCD=own,
                INTLO=np.where(seen, np.floor((event_day - 1) / 90) * 90, np.nan) / DAYS_PER_MONTH,
                INTHI=np.where(seen, event_day, np.nan) / DAYS_PER_MONTH,
            )
        )
    adtte = pd.concat(frames, ignore_index=True)
    adex = _dosing(rng, adsl, delay, last_day, exposed)
    events = with_origin(_events(rng, adsl, adex, last_day, exposed), "events.csv")
    period = emergence(adsl, adex, PLAN.treatment_emergent_days).reindex(events["USUBJID"])
    onset = events["ASTDT"].to_numpy()
    emergent = (onset >= period["begin"].to_numpy()) & ~(onset > period["end"].to_numpy())
    events = events.assign(TRTEMFL=np.where(emergent, "Y", "N"), AENDT=pd.NaT).astype(
        {"TRTEMFL": "string", "AENDT": "datetime64[s]"}
    )
    return {
        "adsl": adsl.sort_values("USUBJID", ignore_index=True),
        "adtte": adtte.sort_values(["USUBJID", "PARAMCD"], ignore_index=True),
        "adex": adex,
        "adae": events.rename(columns=dict(zip(ORIGIN, ("SRCFILE", "SRCSHEET", "SRCROW"), strict=True))),
        "ablations": with_origin(_ablations(rng, adsl), "ablations.csv"),
        "adlb": laboratory(rng, adsl, last_day),
    }


ORIGIN = ("src_file", "src_sheet", "src_row")


def with_origin(frame: pd.DataFrame, file: str) -> pd.DataFrame:
    """Return the frame as if its rows had come from a CSV file, one below the other under the header."""
    origin = {"src_file": file, "src_sheet": pd.NA, "src_row": range(2, len(frame) + 2)}
    return frame.assign(**origin).astype({"src_file": "string", "src_sheet": "string", "src_row": "Int64"})


def sessions(adsl: pd.DataFrame, seed: int = 4, every_days: float = 900) -> pd.DataFrame:
    """Return ablations at random days, the landmark's day among them."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in adsl.itertuples():
        last = (patient.LSTALVDT - patient.TRTSDT).days
        days = {0, *np.ceil(np.cumsum(rng.exponential(every_days, 8))).astype(int).tolist()}
        rows += [(patient.USUBJID, patient.TRTSDT + pd.Timedelta(days=day)) for day in days if day <= last]
        if rng.random() < 0.05:
            rows.append((patient.USUBJID, patient.TRTSDT + pd.Timedelta(days=30)))
    ablations = pd.DataFrame(rows, columns=["USUBJID", "ablation_date"]).astype({"USUBJID": "string"})
    return with_origin(ablations, "ablations.csv")


def adrecur(adsl: pd.DataFrame) -> pd.DataFrame:
    """Return ADRECUR as the pipeline builds it from :func:`sessions`."""
    return build_adrecur(adsl, sessions(adsl))


def break_cohort(adsl: pd.DataFrame, adtte: pd.DataFrame, what: str) -> None:
    """Make one thing wrong with a cohort, in place; what is not named here is left as it is."""
    exposed = (adsl["EXPOSFL"] == "Y").to_numpy(dtype=bool)
    odd = adtte["USUBJID"].isin(adsl["USUBJID"].iloc[:8])
    if what == "no events in an arm":
        adtte.loc[adtte["USUBJID"].isin(adsl.loc[exposed, "USUBJID"]), ["CNSR", "EVNTCD"]] = [1, 0]
    elif what == "one arm empty":
        adsl["EXPOSFL"], adsl["TRT01A"], adsl["EXSTDT"] = "N", CONTROL, pd.NaT
        for frame in (adsl, adtte):
            frame["LMTRT"] = frame["LMTRT"].mask(frame["LMTRT"].notna(), CONTROL)
    elif what == "all censored":
        adtte["CNSR"], adtte["EVNTCD"] = 1, 0
    elif what == "constant covariates":
        adsl["SEX"], adsl["ETIOLOGY"], adsl["AGE"] = "M", "HBV", 60
    elif what == "perfect separation":
        adsl["TUMSIZE"] = adsl["TUMSIZE"] + np.where(exposed, 100.0, 0.0)
    elif what == "times of zero":
        adtte.loc[odd, "AVAL"] = 0.0
    elif what == "negative times":
        adtte.loc[odd, "AVAL"] = -1.0
    elif what == "missing times":
        adtte.loc[odd, "AVAL"] = np.nan
    elif what == "a single centre":
        adsl["SITEID"], adsl["REGION"], adtte["SITEID"] = "alpha", "Asia", "alpha"


def _dosing(
    rng: np.random.Generator, adsl: pd.DataFrame, delay: np.ndarray, last_day: np.ndarray, exposed: np.ndarray
) -> pd.DataFrame:
    rows = []
    for i in np.flatnonzero(exposed):
        stop = min(delay[i] + 1 + int(rng.exponential(350)), int(last_day[i]))
        ongoing = stop == last_day[i]
        cuts = [int(delay[i]), stop]
        if stop - delay[i] > 60 and rng.random() < 0.5:
            cuts.insert(1, int(delay[i]) + 30)
        for j, (a, b) in enumerate(pairwise(cuts)):
            end = b if j == len(cuts) - 2 else b - 1
            rows.append(
                {
                    "USUBJID": adsl["USUBJID"][i],
                    "EXSEQ": j + 1,
                    "EXSTDT": adsl["TRTSDT"][i] + pd.Timedelta(days=a),
                    "EXENDT": adsl["TRTSDT"][i] + pd.Timedelta(days=end),
                    "EXDOSE": 800.0 if j == 0 else 400.0,
                    "EXDURD": end - a + 1,
                    "EXADJ": "adverse_event" if j < len(cuts) - 2 else "ongoing" if ongoing else "progression",
                }
            )
    frame = pd.DataFrame(rows, columns=["USUBJID", "EXSEQ", "EXSTDT", "EXENDT", "EXDOSE", "EXDURD", "EXADJ"])
    return frame.astype(
        {
            "USUBJID": "string",
            "EXSEQ": "Int64",
            "EXDOSE": "Float64",
            "EXDURD": "Int64",
            "EXADJ": "string",
            "EXSTDT": "datetime64[s]",
            "EXENDT": "datetime64[s]",
        }
    ).sort_values(["USUBJID", "EXSEQ"], ignore_index=True)


TERMS = {
    "Palmar-plantar erythrodysesthesia syndrome": ("Skin and subcutaneous tissue disorders", 0.45, 0.02),
    "Diarrhea": ("Gastrointestinal disorders", 0.35, 0.08),
    "Hypertension": ("Vascular disorders", 0.2, 0.06),
    "Fatigue": ("General disorders and administration site conditions", 0.3, 0.2),
    "Nausea": ("Gastrointestinal disorders", 0.15, 0.1),
}


EVENT_COLUMNS = [
    "USUBJID",
    "EXPOSFL",
    "AEDECOD",
    "AEBODSYS",
    "ATOXGR",
    "AESER",
    "AREL",
    "ARELRFA",
    "AEACN",
    "AEOUT",
    "ASTDT",
    "TRTEMFL",
]


def _events(
    rng: np.random.Generator, adsl: pd.DataFrame, adex: pd.DataFrame, last_day: np.ndarray, exposed: np.ndarray
) -> pd.DataFrame:
    rows = []
    first = adex.groupby("USUBJID")["EXSTDT"].min()
    last = adex.groupby("USUBJID")["EXENDT"].max()
    for i in range(len(adsl)):
        usubjid, rfa = adsl["USUBJID"][i], adsl["TRTSDT"][i]
        begin = first[usubjid] if exposed[i] else rfa
        end = last[usubjid] + pd.Timedelta(days=30) if exposed[i] else rfa + pd.Timedelta(days=int(last_day[i]))
        end = min(end, rfa + pd.Timedelta(days=int(last_day[i])))
        for term, (soc, on_drug, off_drug) in TERMS.items():
            for _ in range(rng.poisson(on_drug if exposed[i] else off_drug)):
                rows.append(
                    {
                        "USUBJID": usubjid,
                        "EXPOSFL": adsl["EXPOSFL"][i],
                        "AEDECOD": term,
                        "AEBODSYS": soc,
                        "ATOXGR": int(rng.choice([1, 2, 3, 4], p=[0.5, 0.3, 0.17, 0.03])),
                        "AESER": rng.choice(["Y", "N"], p=[0.1, 0.9]),
                        "AREL": "Y" if exposed[i] and rng.random() < 0.8 else "N",
                        "ARELRFA": rng.choice(["Y", "N"], p=[0.1, 0.9]),
                        "AEACN": rng.choice(["none", "reduced", "stopped"], p=[0.7, 0.2, 0.1])
                        if exposed[i]
                        else "none",
                        "AEOUT": rng.choice(["recovered", "not_recovered"], p=[0.9, 0.1]),
                        "ASTDT": begin + pd.Timedelta(days=int(rng.integers(0, max((end - begin).days, 0) + 1))),
                        "TRTEMFL": "Y",
                    }
                )
    # what happened between RFA and the first dose is not treatment-emergent in the exposed
    rows += [
        {**rows[0], "USUBJID": usubjid, "EXPOSFL": "Y", "ASTDT": adsl["TRTSDT"][i], "TRTEMFL": "N"}
        for i, usubjid in enumerate(adsl["USUBJID"])
        if rows and exposed[i] and i % 7 == 0
    ]
    frame = pd.DataFrame(rows, columns=EVENT_COLUMNS)
    frame = frame.sort_values(["USUBJID", "ASTDT", "AEDECOD"], ignore_index=True)
    frame["AESEQ"] = frame.groupby("USUBJID").cumcount() + 1
    frame["ATOXGR"] = frame["ATOXGR"].astype("Int64")
    frame["ASTDT"] = frame["ASTDT"].astype("datetime64[s]")
    texts = [c for c in frame.columns if frame[c].dtype == object]
    return frame.astype(dict.fromkeys(texts, "string"))


def _ablations(rng: np.random.Generator, adsl: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for i in range(len(adsl)):
        for tumour in range(int(adsl["TUMCOUNT"][i])):
            grade = rng.choice(["", "I", "II", "IIIa", "IVa"], p=[0.9, 0.05, 0.02, 0.02, 0.01])
            rows.append(
                {
                    "USUBJID": adsl["USUBJID"][i],
                    "ablation_date": adsl["TRTSDT"][i],
                    "tumour_no": tumour + 1,
                    "complication_term": "Pleural effusion" if grade else pd.NA,
                    "complication_clavien_dindo": grade or pd.NA,
                }
            )
    frame = pd.DataFrame(rows)
    return frame.astype(
        {
            "USUBJID": "string",
            "complication_term": "string",
            "complication_clavien_dindo": "string",
            "ablation_date": "datetime64[s]",
        }
    )


def laboratory(rng: np.random.Generator, adsl: pd.DataFrame, last_day: np.ndarray) -> pd.DataFrame:
    """Return results every 60 days in multiples of the limit of normal, graded by simple multiples."""
    frames = []
    for test, uln in (("ALT", 40.0), ("BILI", 20.0), ("ALB", 50.0)):
        base = rng.lognormal(-0.3 if test != "ALB" else -0.2, 0.2, len(adsl))
        for day in range(30, 360, 60):
            multiple = base * rng.lognormal(0, 0.5 if test != "ALB" else 0.08, len(adsl))
            frames.append(
                pd.DataFrame(
                    {
                        "USUBJID": adsl["USUBJID"],
                        "PARAMCD": test,
                        "ADT": adsl["TRTSDT"] + pd.Timedelta(days=day),
                        "ADY": day + 1,
                        "AVAL": multiple * uln,
                        "ANRHI": uln,
                        "BASE": base * uln,
                        "ATOXGR": np.digitize(multiple, [1, 3, 5, 20]) if test != "ALB" else 0,
                        "BTOXGR": 0,
                        "PERIRFFL": "Y" if day <= 30 else "N",
                    }
                )[day <= last_day]
            )
    frame = pd.concat(frames, ignore_index=True)
    frame = frame.astype({"PARAMCD": "string", "PERIRFFL": "string", "ATOXGR": "Int64", "BTOXGR": "Int64"})
    origin = dict(zip(ORIGIN, ("SRCFILE", "SRCSHEET", "SRCROW"), strict=True))
    return with_origin(frame, "labs.csv").rename(columns=origin)


def small_adam() -> dict[str, pd.DataFrame]:
    """Return three patients: two exposed from day 10 to day 40 (400 mg, 31 days), one never; followed 100 days."""
    rfa = pd.Timestamp("2016-01-01")
    adam = make_adam(40, seed=1)
    adsl = adam["adsl"].iloc[:3].copy()
    adsl["USUBJID"] = pd.array(["A", "B", "C"], dtype="string")
    adsl["EXPOSFL"] = pd.array(["Y", "Y", "N"], dtype="string")
    adsl["TRTSDT"] = pd.Series([rfa] * 3, index=adsl.index)
    adsl["LSTALVDT"] = pd.Series([rfa + 100 * pd.Timedelta(days=1)] * 3, index=adsl.index)
    for name in ("DTHDT", "RECDT"):
        adsl[name] = pd.Series([pd.NaT] * 3, index=adsl.index, dtype="datetime64[s]")
    adex = pd.DataFrame(
        {
            "USUBJID": pd.array(["A", "B"], dtype="string"),
            "EXSEQ": [1, 1],
            "EXSTDT": [rfa + 10 * pd.Timedelta(days=1)] * 2,
            "EXENDT": [rfa + 40 * pd.Timedelta(days=1)] * 2,
            "EXDOSE": [800.0, 400.0],
            "EXDURD": [31, 31],
            "EXADJ": pd.array(["adverse_event", "progression"], dtype="string"),
        }
    )
    adae = adam["adae"].iloc[:2].copy()
    adae["USUBJID"] = pd.array(["A", "C"], dtype="string")
    adae["AEDECOD"] = pd.array(["Diarrhea", "Diarrhea"], dtype="string")
    adae["ATOXGR"] = pd.array([3, 1], dtype="Int64")
    adae["TRTEMFL"] = "Y"
    adae["ASTDT"] = [rfa + 29 * pd.Timedelta(days=1), rfa + 49 * pd.Timedelta(days=1)]
    return {"adsl": adsl, "adex": adex, "adae": adae}
