"""Benefits and harms in simulated cohorts, held against what is true of the model that made them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from estimates_data import ROOT, cohort, plan

from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.benefit_risk import estimate_benefit_risk
from sorafenib_rfa.estimates.collect import collect_ard
from sorafenib_rfa.simulate import load_parameters
from sorafenib_rfa.simulate.clinical_records import _adverse_events, _dose_intervals, _sessions_and_findings
from sorafenib_rfa.simulate.estimands import COLUMNS
from sorafenib_rfa.simulate.population import draw_centre_log_hazards
from sorafenib_rfa.simulate.true_harms import true_benefit_risk
from sorafenib_rfa.simulate.truth import simulate_patients
from sorafenib_rfa.validation.results import _add_harms
from sorafenib_rfa.validation.study import observed_cohort
from sorafenib_rfa.vocabulary import DAYS_PER_MONTH

PARAMETERS = ROOT / "config/cohorts/synthetic/simulation.yaml"
REGIONS = {"cn01": "Asia", "cn02": "Asia", "jp01": "Asia", "fr01": "Europe", "it01": "Europe", "us01": "North America"}
FEW = plan(bootstrap_resamples=200)
RFA = pd.Timestamp("2012-01-01")
SEED = 11


@cache
def truth(screened: int = 20_000) -> pd.DataFrame:
    return true_benefit_risk(load_parameters(Path(PARAMETERS)), SEED, screened)


def true(endpoint: str, strategy: str, month: float) -> tuple[float, float]:
    rows = truth()
    row = rows[
        (rows["endpoint"] == endpoint)
        & (rows["strategy"] == strategy)
        & (rows["month"] == month)
        & (rows["population"] == "overlap")
    ].iloc[0]
    return row["value"], row["mc_se"]


def dates(days: pd.Series | np.ndarray) -> pd.Series:
    """Return dates, missing where something never happened."""
    known = pd.Series(np.asarray(days, dtype=float)).replace(np.inf, np.nan).astype("Int64")
    return RFA + pd.to_timedelta(known, unit="D")


def cohort_of(number: int, screened: int = 2_500) -> dict[str, pd.DataFrame]:
    """Return ADSL, ADTTE and ADAE of a simulated cohort as a perfect record keeper would have them."""
    parameters = load_parameters(Path(PARAMETERS), size=screened)
    centres = draw_centre_log_hazards(parameters, SEED)
    patients = simulate_patients(parameters, seed=1000 + number, centre_log_hazards=centres)
    people, seen = patients.population, patients.observed
    rows = observed_cohort(patients, REGIONS)
    names = np.array([f"p{i:05d}" for i in range(len(people))], dtype=object)
    eligible = people["eligible"].to_numpy()
    adsl = rows.assign(
        USUBJID=pd.array(names[eligible], dtype="string"),
        TRTSDT=RFA,
        EXPOSFL=pd.array(np.where(np.isfinite(rows["exposed_from"]), "Y", "N"), dtype="string"),
        EXSTDT=dates(rows["exposed_from"]),
        RECDT=dates(rows["recurred"]),
        DTHDT=dates(rows["died"]),
        LSTALVDT=dates(rows["last"]),
    )
    adtte = pd.concat(
        [
            pd.DataFrame(
                {
                    "USUBJID": adsl["USUBJID"],
                    "SITEID": "one",
                    "PARAMCD": name,
                    "AVAL": rows[f"{name.lower()}_day"] / DAYS_PER_MONTH,
                    "CNSR": (~rows[f"{name.lower()}_event"].astype(bool)).astype(int),
                    "EVNTCD": rows[f"{name.lower()}_event"].astype(int) * 4,
                    **dict.fromkeys(("INTLO", "INTHI"), np.nan),
                    **dict.fromkeys(("LMFL", "LMTRT", "TRT01A"), "N"),
                }
            )
            for name in ("RFS", "OS")
        ],
        ignore_index=True,
    )
    doses = _dose_intervals(people, seen, parameters, number)
    _, of_rfa, _ = _sessions_and_findings(people, seen, patients.natural, parameters, number)
    events, _ = _adverse_events(people, seen, doses, of_rfa, parameters, number)
    adae = pd.DataFrame(
        {
            "USUBJID": pd.array(names[events["patient"].to_numpy(dtype=int)], dtype="string"),
            "AEDECOD": events["term"],
            "ATOXGR": events["grade"].astype("Int64"),
            "AESER": events["serious"],
            "ASTDT": dates(events["day"]),
            "AENDT": dates(events["end_day"]),
            "SRCFILE": "events.csv",
            "SRCSHEET": None,
            "SRCROW": range(2, len(events) + 2),
        }
    )
    return {"adsl": adsl, "adtte": adtte, "adae": adae}


def test_the_truth_adds_up():
    """Without toxicity, after recurrence and with toxicity are the life of the horizon; risks rise with time."""
    few = true_benefit_risk(load_parameters(Path(PARAMETERS)), 3, 1_500)
    assert tuple(few.columns) == COLUMNS
    own = few[(few["population"] == "overlap") & (few["strategy"] == "sorafenib")]
    states = own[own["stat"] == "rmst_months"].set_index("endpoint")["value"]
    assert 30 < states.sum() < 36
    assert (states > 0).all()
    risks = own[own["stat"] == "risk"].sort_values("month")["value"]
    assert risks.is_monotonic_increasing
    assert few["mc_se"].between(0, 0.5).all()
    contrast = few[few["strategy"] == "contrast"].set_index(["endpoint", "population", "month"])["value"]
    arms = few.pivot_table(index=["endpoint", "population", "month"], columns="strategy", values="value")
    np.testing.assert_allclose(contrast.sort_index(), (arms["sorafenib"] - arms["control"]).sort_index())


def test_errors_are_the_estimates_minus_their_truth():
    few = true_benefit_risk(load_parameters(Path(PARAMETERS)), 3, 1_000)
    builder = ArdBuilder("synthetic", "validation", "records/v.json")
    row = {
        "ard_id": "benefit_risk.grade_3_5.contrast.m12.risk_difference", "value": 30.0, "ci_low": 20.0, "ci_high": 40.0,
        "method": "as estimated",
    }  # fmt: skip
    tox = {"ard_id": "benefit_risk.partition.contrast.m36.tox.difference", "value": np.nan, "ci_low": np.nan,
           "ci_high": np.nan, "method": "not estimable: too few"}  # fmt: skip
    _add_harms(builder, {one["ard_id"]: one for one in (row, tox)}, few, FEW, 1.96)
    ard = collect_ard([builder.frame()]).set_index("ard_id")
    own = few[(few["population"] == "overlap") & (few["strategy"] == "contrast")].set_index(["endpoint", "month"])
    value = 100 * own.loc[("GRADE_3_5", 12.0), "value"]
    assert ard.loc["validation.truth_benefit_risk.contrast.grade_3_5_m12.risk_difference", "value"] == pytest.approx(
        value
    )
    error = ard.loc["validation.error_benefit_risk.contrast.grade_3_5_m12.risk_difference"]
    assert error[["value", "ci_low", "ci_high"]].tolist() == pytest.approx([30 - value, 20 - value, 40 - value])
    missing = ard.loc["validation.error_benefit_risk.contrast.tox_m36.difference"]
    assert np.isnan(missing["value"])
    assert missing["method"] == "not estimable: too few"
    # the other truths stand without an estimate
    assert len(ard) == 6 + 2


@pytest.mark.slow
def test_risks_and_months_are_recovered_in_simulated_cohorts():
    """Twelve cohorts: bias small against its Monte Carlo error, intervals as wide as the estimates are spread."""
    wanted = {
        **{
            f"benefit_risk.grade_3_5.{arm}.m{month}.risk": ("GRADE_3_5", arm, month, 100)
            for arm in ("sorafenib", "control")
            for month in (12, 36)
        },
        **{
            f"benefit_risk.partition.{arm}.m36.{state.lower()}.months": (state, arm, 36, 1)
            for arm in ("sorafenib", "control")
            for state in ("TOX", "TWIST", "REL")
        },
        **{
            f"benefit_risk.grade_3_5.contrast.m{month}.risk_difference": ("GRADE_3_5", "contrast", month, 100)
            for month in (12, 36)
        },
        "benefit_risk.partition.contrast.m36.tox.difference": ("TOX", "contrast", 36, 1),
        "benefit_risk.partition.contrast.m36.rel.difference": ("REL", "contrast", 36, 1),
    }
    config = cohort()
    config = config.model_copy(update={"modules": [name for name in config.modules if name != "labs"]})
    found = []
    for number in range(12):
        estimates = estimate_benefit_risk(
            **cohort_of(number), plan=FEW, cohort=config, cohort_name="synthetic", record="r", seed=number
        )
        found.append(estimates.ard.set_index("ard_id").loc[list(wanted), ["value", "ci_low", "ci_high"]])
    values = np.array([frame["value"] for frame in found])
    spread = values.std(axis=0, ddof=1)
    model = np.mean([(frame["ci_high"] - frame["ci_low"]) / (2 * 1.96) for frame in found], axis=0)
    for j, (endpoint, arm, month, scale) in enumerate(wanted.values()):
        value, error = (scale * number for number in true(endpoint, arm, month))
        noise = np.hypot(spread[j] / np.sqrt(len(found)), error)
        assert abs(values[:, j].mean() - value) < 3.5 * noise, (endpoint, arm, month, values[:, j].mean(), value, noise)
    # with twelve cohorts an empirical standard error is known to about a fifth
    ratio = model / spread
    assert 0.75 < np.median(ratio) < 1.35, dict(zip(wanted, ratio, strict=True))
