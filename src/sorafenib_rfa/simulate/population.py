"""Patients at the index RFA: baseline facts, eligibility and the plan to give sorafenib."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr, ndtri

from sorafenib_rfa.simulate.parameters import ETIOLOGIES, LATENT, LogNormal, SimulationParameters

ELIGIBLE_STAGES = ("0", "A", "B1")


def stream(seed: int, name: str) -> np.random.Generator:
    """Return the random stream `name` of a simulation, so that a change in one part moves no other part's numbers."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def allocate(shares: dict[str, float], n: int) -> np.ndarray:
    """Return `n` names in the proportions of `shares` (largest remainders), in blocks."""
    exact = np.array(list(shares.values())) * n
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: n - counts.sum()]] += 1
    return np.repeat(np.array(list(shares), dtype=object), counts)


def _coded(shares: dict[str, float], uniform: np.ndarray) -> np.ndarray:
    """Return the code of each uniform number by the cumulated shares."""
    codes = np.array(list(shares), dtype=object)
    edges = np.cumsum(list(shares.values()))[:-1]
    return codes[np.searchsorted(edges, uniform, side="right")]


def _mixed_logit(target: float, log_odds: np.ndarray, weights: np.ndarray) -> float:
    """Return the intercept at which the mixture of groups has the share `target`."""
    from scipy.optimize import brentq

    return float(brentq(lambda a: float(weights @ expit(a + log_odds)) - target, -20, 20))


def draw_population(parameters: SimulationParameters, n: int, seed: int) -> pd.DataFrame:
    """Return `n` screened patients.

    Parameters
    ----------
    parameters : SimulationParameters
    n : int
        Patients.
    seed : int
        Seed of the simulation.

    Returns
    -------
    DataFrame
        One row a patient, centres in blocks: ``site, etiology, age_years, male, cirrhosis, antiviral, albi,
        bilirubin_umol_l, albumin_g_l, inr, platelets_10_9_l, alt_u_l, ast_u_l, alp_u_l, ggt_u_l, creatinine_umol_l,
        afp_ng_ml, largest_tumour_cm, tumour_count, ascites, encephalopathy, ecog, recurrent_hcc, vascular_invasion,
        extrahepatic_spread, prior_systemic_therapy, complete_ablation, has_rfa, followed, sorafenib_before_rfa``,
        then ``child_pugh_score, stage, eligible``. Flags are boolean.

    Notes
    -----
    Numbers with a declared distribution are inverse transforms of correlated standard normals (a Gaussian copula), so
    each keeps its declared margin whatever the correlations.
    """
    b = parameters.baseline
    rng = stream(seed, "baseline")
    sites = allocate({name: centre.share.value for name, centre in parameters.centres.items()}, n)
    chol = np.linalg.cholesky(np.array(b.latent_correlations()))
    z = dict(zip(LATENT, chol @ rng.standard_normal((len(LATENT), n)), strict=True))

    shares = np.array([[c.etiology.value[e] for e in ETIOLOGIES] for c in parameters.centres.values()])
    weights = np.array([c.share.value for c in parameters.centres.values()]) @ shares
    centre = pd.Categorical(sites, categories=list(parameters.centres)).codes
    edges = np.cumsum(shares, axis=1)[centre, :-1]
    kind = (rng.random(n)[:, None] >= edges).sum(axis=1)

    def by_etiology(values: dict[str, float]) -> np.ndarray:
        return np.array([values[e] for e in ETIOLOGIES])

    shift = by_etiology(b.age_shift_by_etiology.value)
    shift = shift - weights @ shift
    age_sd = np.sqrt(b.age_years.value.sd**2 - weights @ shift**2)
    age = np.clip(b.age_years.value.mean + shift[kind] + age_sd * z["age"], *b.age_range_years.value)
    age = np.where(rng.random(n) < b.minors.value, rng.uniform(*b.minor_age_years.value, n), age)
    male_odds = by_etiology(b.male_log_odds_by_etiology.value)
    male = rng.random(n) < expit(_mixed_logit(b.male.value, male_odds, weights) + male_odds)[kind]

    albi = b.albi_score.value.mean + b.albi_score.value.sd * z["albi"]
    log10_bilirubin = b.log10_bilirubin.value.mean + b.log10_bilirubin.value.sd * z["bilirubin"]

    def lognormal(name: str, latent: str) -> np.ndarray:
        spread = getattr(b, name).value
        return spread.median * np.exp(spread.log_sd * z[latent])

    def flag(name: str) -> np.ndarray:
        return rng.random(n) < getattr(b, name).value

    frame = pd.DataFrame(
        {
            "site": sites,
            "etiology": np.array(ETIOLOGIES, dtype=object)[kind],
            "age_years": age,
            "male": male,
            "cirrhosis": ndtr(z["cirrhosis"]) > 1 - by_etiology(b.cirrhosis_by_etiology.value)[kind],
            "antiviral": rng.random(n) < by_etiology(b.antiviral_by_etiology.value)[kind],
            "bilirubin_umol_l": np.round(10**log10_bilirubin, 1),
            # the ALBI score solved for albumin
            "albumin_g_l": np.round(np.clip((0.66 * log10_bilirubin - albi) / 0.085, 15, 55), 1),
            "inr": np.round(np.maximum(lognormal("inr", "inr"), 0.8), 2),
            "platelets_10_9_l": np.round(lognormal("platelets_10_9_l", "platelets")),
            "alt_u_l": np.round(lognormal("alt_u_l", "alt")),
            "ast_u_l": np.round(lognormal("ast_u_l", "ast")),
            "alp_u_l": np.round(lognormal("alp_u_l", "alp")),
            "ggt_u_l": np.round(lognormal("ggt_u_l", "ggt")),
            "creatinine_umol_l": np.round(lognormal("creatinine_umol_l", "creatinine")),
            "afp_ng_ml": np.maximum(np.round(lognormal("afp_ng_ml", "afp"), 1), 0.1),
            "largest_tumour_cm": np.round(
                np.clip(lognormal("largest_tumour_cm", "size"), *b.largest_tumour_range_cm.value), 1
            ),
            "tumour_count": _coded(b.tumour_count.value, ndtr(z["count"])).astype(int),
            "ascites": _coded(b.ascites.value, ndtr(z["ascites"])),
            "encephalopathy": _coded(b.encephalopathy.value, ndtr(z["encephalopathy"])),
            "ecog": _coded(b.ecog.value, rng.random(n)).astype(int),
            "recurrent_hcc": flag("recurrent_hcc"),
            "vascular_invasion": flag("vascular_invasion"),
            "extrahepatic_spread": flag("extrahepatic_spread"),
            "prior_systemic_therapy": flag("prior_systemic_therapy"),
            "complete_ablation": ~flag("incomplete_ablation"),
            "has_rfa": ~flag("no_rfa"),
            "followed": ~flag("no_follow_up"),
            "sorafenib_before_rfa": flag("sorafenib_before_rfa"),
        }
    )
    return _staged(frame)


def _staged(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with the ALBI score, Child-Pugh score, BCLC stage and eligibility that follow from it."""
    from sorafenib_rfa.clinical.bclc import stage_frame
    from sorafenib_rfa.clinical.liver import albi_score, child_pugh_score

    score = child_pugh_score(
        frame["bilirubin_umol_l"], frame["albumin_g_l"], frame["inr"], frame["ascites"], frame["encephalopathy"]
    )
    facts = frame[["tumour_count", "largest_tumour_cm", "ecog"]].assign(child_pugh_score=score)
    for name in ("vascular_invasion", "extrahepatic_spread"):
        facts[name] = np.where(frame[name], "Y", "N")
    stage = stage_frame(facts)
    eligible = (
        frame["has_rfa"]
        & (frame["age_years"] >= 18)
        & ~frame["prior_systemic_therapy"]
        & stage.isin(ELIGIBLE_STAGES)
        & frame["complete_ablation"]
        & ~frame["sorafenib_before_rfa"]
        & frame["followed"]
    )
    return frame.assign(
        albi=albi_score(frame["bilirubin_umol_l"], frame["albumin_g_l"]).to_numpy(dtype=float),
        child_pugh_score=score.to_numpy(dtype=int),
        stage=stage.astype(object),
        eligible=eligible.astype(bool),
    )


def log_odds_of_sorafenib(population: pd.DataFrame, parameters: SimulationParameters) -> np.ndarray:
    """Return the log odds that sorafenib is planned for each patient: confounding by indication."""
    t, scenario = parameters.treatment, parameters.truth
    afp_reference = parameters.baseline.afp_ng_ml.value.median
    size_reference = parameters.baseline.largest_tumour_cm.value.median
    own = (
        t.log_odds_size_per_cm.value * (population["largest_tumour_cm"] - size_reference)
        + t.log_odds_per_further_tumour.value * (population["tumour_count"] - 1)
        + t.log_odds_recurrent_hcc.value * population["recurrent_hcc"]
        + t.log_odds_afp_per_log10.value * np.log10(population["afp_ng_ml"] / afp_reference)
        + t.log_odds_albi_per_unit.value * (population["albi"] - parameters.baseline.albi_score.value.mean)
        + t.log_odds_age_per_10_years.value * (population["age_years"] - parameters.baseline.age_years.value.mean) / 10
    )
    habit = population["site"].map({name: c.sorafenib_log_odds.value for name, c in parameters.centres.items()})
    total = t.intercept.value + scenario.intercept_shift.value + scenario.confounding_multiplier.value * own + habit
    return total.to_numpy(dtype=float)


def draw_plan(population: pd.DataFrame, parameters: SimulationParameters, seed: int) -> pd.DataFrame:
    """Return each patient's plan: whether sorafenib is planned, and the day it would start under either strategy.

    Returns
    -------
    DataFrame
        Indexed as `population`. ``propensity``: probability that a start within the grace period is planned;
        ``planned``; ``planned_start_day``: days after the RFA, infinite when none is planned;
        ``start_day_sorafenib``, ``start_day_control``: the same under "start within the grace period" (the patient's
        own plan if it is early enough, else a draw from the early delays) and under "no start within the grace period"
        (a later plan stays; a patient whose plan was earlier starts later, or never, as patients like her do who had
        no early plan).

    Notes
    -----
    Starts are planned some weeks after the RFA or, for some patients, months after it. The latter must stay free of
    recurrence for long to be treated at all: the immortal time of a comparison by ever-exposure.

    What happens after the grace period is left to itself under either strategy. Had an early plan that is barred ruled
    out any later start, the later starts of others would depend on their not having had an early plan, and no data
    could tell what the strategy does (conditional exchangeability would fail by construction).
    """
    t, grace = parameters.treatment, parameters.strategies.grace_period_days.value
    rng = stream(seed, "plan")
    n = len(population)
    probability = expit(log_odds_of_sorafenib(population, parameters))
    planned = rng.random(n) < probability
    late = rng.random(n) < t.late_start.value

    def days(delay: LogNormal, uniform: np.ndarray) -> np.ndarray:
        drawn = delay.median * np.exp(delay.log_sd * ndtri(uniform))
        return np.round(np.maximum(drawn, t.shortest_delay_days.value))

    def within(delay: LogNormal) -> float:
        # days are rounded, so a delay counts as within the period up to half a day beyond it
        return float(ndtr(np.log((grace + 0.5) / delay.median) / delay.log_sd))

    soon, later = t.start_delay_days.value, t.late_start_delay_days.value
    uniform = rng.random(n)
    own = np.where(late, days(later, uniform), days(soon, uniform))
    other = np.minimum(days(soon, within(soon) * rng.random(n)), grace)
    start = np.where(planned, own, np.inf)
    early = (1 - t.late_start.value) * within(soon) + t.late_start.value * within(later)
    beyond_soon = (1 - t.late_start.value) * (1 - within(soon))
    put_off = rng.random(n) < probability * (1 - early) / (1 - probability * early)
    component = rng.random(n) < beyond_soon / (1 - early)
    uniform = rng.random(n)
    afterwards = np.where(
        component,
        days(soon, within(soon) + (1 - within(soon)) * uniform),
        days(later, within(later) + (1 - within(later)) * uniform),
    )
    barred = np.where(put_off, np.maximum(afterwards, grace + 1), np.inf)
    return pd.DataFrame(
        {
            "propensity": probability * early,
            "planned": planned,
            "planned_start_day": start,
            "start_day_sorafenib": np.where(start <= grace, start, other),
            "start_day_control": np.where(start > grace, start, barred),
        },
        index=population.index,
    )


def log_hazard_ratios(
    population: pd.DataFrame, parameters: SimulationParameters, centre_log_hazards: dict[str, float]
) -> dict[str, Any]:
    """Return each patient's log hazard ratio of ``LTP``, ``IDR``, ``EHS`` and ``death`` against the baseline."""
    covariates = {
        "albi_grade_2_3": population["albi"] > -2.60,
        "age_above_65": population["age_years"] > 65,
        "platelets_below_100": population["platelets_10_9_l"] < 100,
        "size_per_cm": population["largest_tumour_cm"] - parameters.baseline.largest_tumour_cm.value.median,
        "several_tumours": population["tumour_count"] > 1,
        "recurrent_hcc": population["recurrent_hcc"],
        "afp_per_log10": np.log10(population["afp_ng_ml"] / parameters.baseline.afp_ng_ml.value.median),
    }
    centre = population["site"].map(centre_log_hazards).to_numpy(dtype=float)
    totals = {cause: centre.copy() for cause in ("LTP", "IDR", "EHS", "death")}
    for name, ratios in parameters.outcomes.hazard_ratios.items():
        value = covariates[name].to_numpy(dtype=float)
        local = ratios.local_progression or ratios.recurrence
        for cause, ratio in (
            ("LTP", local),
            ("IDR", ratios.recurrence),
            ("EHS", ratios.recurrence),
            ("death", ratios.death),
        ):
            totals[cause] += np.log(ratio.value) * value
    return totals


def draw_centre_log_hazards(parameters: SimulationParameters, seed: int) -> dict[str, float]:
    """Return the chance difference of each centre's hazards, on the log scale."""
    drawn = stream(seed, "centres").standard_normal(len(parameters.centres))
    sd = parameters.outcomes.centre_log_hazard_sd.value
    return {name: float(sd * value) for name, value in zip(parameters.centres, drawn, strict=True)}
