"""The simulated patients: parameters that are refused, margins that must hold, the traps that must be there.

Tolerances are Z Monte Carlo standard errors of the compared statistic at the simulated size; Z leaves each test a
chance of about 1 in 150 000 to fail by bad luck, and seeds are fixed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy.stats import norm

from sorafenib_rfa.clinical.ctcae import ctcae_soc
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.simulate import load_parameters, true_estimands
from sorafenib_rfa.simulate.clinical_records import write_records
from sorafenib_rfa.simulate.exports import canonical_uln
from sorafenib_rfa.simulate.outcomes import REFERENCE_SIZE, draw_chances, follow_course, solve_baseline
from sorafenib_rfa.simulate.parameters import COVARIATES, ETIOLOGIES
from sorafenib_rfa.simulate.population import draw_plan, draw_population, log_hazard_ratios
from sorafenib_rfa.simulate.truth import simulate_patients, truth_frame

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "config/cohorts/synthetic/simulation.yaml"
Z = 4.5
N = 20_000
YEAR = 365.25


def parameters(**overrides):
    return load_parameters(PATH, **overrides)


def near_share(share: float, p: float, n: int) -> bool:
    return abs(share - p) <= Z * np.sqrt(p * (1 - p) / n)


@pytest.fixture(scope="module")
def declared():
    return parameters()


@pytest.fixture(scope="module")
def people(declared):
    return draw_population(declared, N, 11)


@pytest.fixture(scope="module")
def patients():
    """20 000 patients of the default scenario, as :func:`simulate_patients` makes them."""
    return simulate_patients(parameters(size=N), seed=3)


# --- parameters ------------------------------------------------------------------------------------------------


def changed(tmp_path, edit):
    content = yaml.safe_load(PATH.read_text("utf-8"))
    edit(content)
    path = tmp_path / "simulation.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), "utf-8")
    return path


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda c: c["observation"].update(mised_imaging=c["observation"].pop("missed_imaging")), "missed_imaging"),
        (lambda c: c["dirt"]["grade_6"].pop("source"), "dirt.grade_6.source: this key is required"),
        (lambda c: c["dirt"]["grade_6"].update(value=1.2), "less than or equal to 1"),
        (lambda c: c["dirt"]["grade_6"].update(status="seen"), "source and status must both say assumption"),
        (lambda c: c["baseline"]["ascites"]["value"].update(none=0.5), "the shares must sum to 1"),
        (lambda c: c["centres"]["cn01"]["share"].update(value=0.5), "the shares must sum to 1, they sum to 1.28"),
        (lambda c: c["baseline"]["correlations"]["value"][0].update(between=["albi", "weight"]), "albi and weight"),
        (
            lambda c: c["baseline"]["correlations"]["value"].extend(
                [{"between": ["alt", "alp"], "value": 0.95}, {"between": ["ast", "alp"], "value": -0.95}]
            ),
            "no distribution has all of them at once",
        ),
        (lambda c: c.update(scenario="cure"), "'cure' is none of null, waning, harm, strong_confounding"),
        (lambda c: c.update(local_progression="subcapsular"), "'subcapsular' is none of non_periportal, periportal"),
        (
            lambda c: c["scenarios"]["waning"]["recurrence_hazard_ratio"]["value"].reverse(),
            "the pieces must begin at month 0 and rise",
        ),
        (lambda c: c.update(size=10), "greater than or equal to 60"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_its_name(tmp_path, edit, said):
    with pytest.raises(ConfigError, match=r"simulation\.yaml") as error:
        load_parameters(changed(tmp_path, edit))
    assert said in str(error.value)


def test_overrides_replace_values_and_refuse_unknown_names():
    made = parameters(size=150, scenario="null", **{"observation.missed_imaging": 0.25})
    assert (made.size, made.scenario) == (150, "null")
    assert made.observation.missed_imaging.value == 0.25
    assert made.observation.missed_imaging.status == "assumption"
    with pytest.raises(ConfigError, match="did you mean 'missed_imaging'"):
        parameters(**{"observation.mised_imaging": 0.25})
    with pytest.raises(ConfigError, match="this is a group"):
        parameters(observation=1)


def every_parameter(node, path=""):
    if isinstance(node, dict) and "status" in node:
        yield path, node
    elif isinstance(node, dict):
        for key, value in node.items():
            yield from every_parameter(value, f"{path}.{key}".lstrip("."))


def test_every_source_is_in_the_bibliography():
    known = set(re.findall(r"^@\w+\{(\w+),", (ROOT / "manuscript/references.bib").read_text("utf-8"), re.MULTILINE))
    found = list(every_parameter(yaml.safe_load(PATH.read_text("utf-8"))))
    assert len(found) > 150
    unknown = {path: p["source"] for path, p in found if p["source"] not in known | {"assumption"}}
    assert unknown == {}


def test_strategies_and_cutoff_are_those_of_the_plan_and_the_cohort(declared):
    plan = yaml.safe_load((ROOT / "config/plan.yaml").read_text("utf-8"))
    cohort = yaml.safe_load((ROOT / "config/cohorts/synthetic/cohort.yaml").read_text("utf-8"))
    s = declared.strategies
    assert s.grace_period_days.value == plan["grace_period_days"]
    assert s.landmark_day.value == plan["landmark_day"]
    assert s.rmst_horizon_months.value == plan["rmst_horizon_months"]
    assert s.horizons_months.value == plan["horizons_months"]
    assert declared.accrual.data_cutoff.value == cohort["data_cutoff"]
    assert declared.laboratory.baseline_before_rfa_days.value <= plan["baseline_window_days"][0]


def test_terms_are_of_ctcae(declared):
    s = declared.safety
    assert {*s.events, *s.post_ablation, *s.major.value, *s.minor.value} <= set(ctcae_soc())


# --- baseline --------------------------------------------------------------------------------------------------


def test_centres_have_exactly_their_shares(declared, people):
    counts = people["site"].value_counts()
    assert {site: counts[site] for site in counts.index} == {
        site: round(N * centre.share.value) for site, centre in declared.centres.items()
    }
    small = draw_population(declared, 150, 1)["site"].value_counts()
    assert set(small.index) == set(declared.centres) and small.sum() == 150


@pytest.mark.parametrize(
    "name",
    ["male", "recurrent_hcc", "vascular_invasion", "extrahepatic_spread", "prior_systemic_therapy"],
)
def test_shares_of_yes_or_no_facts(declared, people, name):
    assert near_share(people[name].mean(), getattr(declared.baseline, name).value, N)


@pytest.mark.parametrize("name", ["ascites", "encephalopathy", "ecog", "tumour_count"])
def test_shares_of_codes(declared, people, name):
    for code, share in getattr(declared.baseline, name).value.items():
        assert near_share((people[name].astype(str) == code).mean(), share, N), code


def test_causes_of_liver_disease_by_centre(declared, people):
    for site, centre in declared.centres.items():
        own = people.loc[people["site"] == site, "etiology"]
        for cause, share in centre.etiology.value.items():
            assert near_share((own == cause).mean(), share, len(own)), (site, cause)


def test_cirrhosis_by_cause(declared, people):
    for cause in ETIOLOGIES:
        own = people.loc[people["etiology"] == cause, "cirrhosis"]
        assert near_share(own.mean(), declared.baseline.cirrhosis_by_etiology.value[cause], len(own)), cause


@pytest.mark.parametrize(
    "name",
    ["inr", "platelets_10_9_l", "alt_u_l", "alp_u_l", "creatinine_umol_l", "afp_ng_ml", "largest_tumour_cm"],
)
def test_medians(declared, people, name):
    # recorded values are rounded, so the median may be a value that many have
    median, tolerance = getattr(declared.baseline, name).value.median, Z * 0.5 / np.sqrt(N)
    assert (people[name] < median).mean() <= 0.5 + tolerance
    assert (people[name] <= median).mean() >= 0.5 - tolerance


def test_age_of_adults(declared, people):
    b = declared.baseline
    shares = {e: sum(c.share.value * c.etiology.value[e] for c in declared.centres.values()) for e in ETIOLOGIES}
    shift = {e: b.age_shift_by_etiology.value[e] for e in ETIOLOGIES}
    middle = sum(shares[e] * shift[e] for e in ETIOLOGIES)
    within = np.sqrt(b.age_years.value.sd**2 - sum(shares[e] * (shift[e] - middle) ** 2 for e in ETIOLOGIES))
    low, high = b.age_range_years.value
    expected = 0.0
    for e in ETIOLOGIES:
        mean = b.age_years.value.mean + shift[e] - middle
        below, above = (low - mean) / within, (high - mean) / within
        # mean of a normal set to its bounds beyond them, in closed form
        inside = mean * (norm.cdf(above) - norm.cdf(below)) - within * (norm.pdf(above) - norm.pdf(below))
        expected += shares[e] * (low * norm.cdf(below) + inside + high * norm.sf(above))
    adults = people.loc[people["age_years"] >= low, "age_years"]
    assert abs(adults.mean() - expected) <= Z * b.age_years.value.sd / np.sqrt(len(adults))


def test_albi_grade_one_is_as_frequent_as_declared(declared, people):
    score = declared.baseline.albi_score.value
    assert near_share((people["albi"] <= -2.60).mean(), norm.cdf((-2.60 - score.mean) / score.sd), N)


def test_correlations_have_the_declared_sign(people):
    assert np.corrcoef(people["albi"], people["platelets_10_9_l"])[0, 1] < -Z / np.sqrt(N)
    assert np.corrcoef(people["largest_tumour_cm"], np.log(people["afp_ng_ml"]))[0, 1] > Z / np.sqrt(N)


# --- outcomes without sorafenib --------------------------------------------------------------------------------


def untreated(p, seed=5, n=N):
    """Return the eligible patients' course when nobody takes sorafenib and centres do not differ by chance."""
    everyone = draw_population(p, n, seed)
    hazards = solve_baseline(p)
    eta = log_hazard_ratios(everyone, p, dict.fromkeys(p.centres, 0.0))
    course = follow_course(everyone, eta, draw_chances(n, p, seed), np.full(n, np.inf), p, hazards)
    return course, everyone["eligible"].to_numpy()


@pytest.mark.parametrize("year", [1, 3, 5])
def test_recurrence_free_survival_without_sorafenib_is_the_declared_curve(declared, year):
    p = parameters(**{"safety.procedure_death": 0.0})
    course, eligible = untreated(p)
    expected = np.exp(-declared.outcomes.recurrence_free_survival.value.cumulative_hazard(year * YEAR))
    n = eligible.sum()
    # the baseline hazard is solved in a reference population, whose own size adds to the error
    error = np.sqrt(expected * (1 - expected) * (1 / n + 1 / (REFERENCE_SIZE * n / N)))
    assert abs((course.event_day[eligible] > year * YEAR).mean() - expected) <= Z * error


def test_five_year_survival_without_sorafenib_is_the_declared_one(declared):
    course, eligible = untreated(parameters(**{"safety.procedure_death": 0.0}))
    expected = np.exp(-declared.outcomes.overall_survival.value.cumulative_hazard(5 * YEAR))
    n = eligible.sum()
    error = np.sqrt(expected * (1 - expected) * (1 / n + 1 / (REFERENCE_SIZE * n / N)))
    assert abs((course.death_day[eligible] > 5 * YEAR).mean() - expected) <= Z * error


def nelson_aalen(time, event, until):
    """Return the Nelson-Aalen estimate at `until` and its standard error (no ties: times are continuous)."""
    order = np.argsort(time)
    event, at_risk = event[order], np.arange(len(time), 0, -1)
    steps = np.where(event & (time[order] <= until), 1 / at_risk, 0.0)
    return steps.sum(), np.sqrt((steps**2).sum())


@pytest.mark.parametrize("curve", ["non_periportal", "periportal"])
def test_local_progression_has_the_declared_cause_specific_hazard(curve):
    p = parameters(local_progression=curve, **{"safety.procedure_death": 0.0})
    course, eligible = untreated(p)
    time, local = course.event_day[eligible], course.recurrence_cause[eligible] == 0
    for year in (1, 3, 5):
        found, error = nelson_aalen(time, local, year * YEAR)
        expected = p.outcomes.local_progression_free[curve].value.cumulative_hazard(year * YEAR)
        # the reference population's error is at most that of a sample of its size
        error *= np.sqrt(1 + N / REFERENCE_SIZE)
        assert abs(found - expected) <= Z * error, year


def homogeneous(**overrides):
    """Return parameters under which all patients have the same hazards."""
    flat = {"outcomes.centre_log_hazard_sd": 0.0, "safety.procedure_death": 0.0}
    for name in COVARIATES:
        flat |= {f"outcomes.hazard_ratios.{name}.{cause}": 1.0 for cause in ("recurrence", "death")}
    flat["outcomes.hazard_ratios.size_per_cm.local_progression"] = 1.0
    return parameters(**flat, **overrides)


def test_sorafenib_changes_the_hazard_of_recurrence_as_declared_and_nothing_else():
    p = homogeneous(scenario="waning")
    everyone = draw_population(p, N, 5)
    hazards, chances = solve_baseline(p), draw_chances(N, p, 5)
    eta = log_hazard_ratios(everyone, p, dict.fromkeys(p.centres, 0.0))
    never = follow_course(everyone, eta, chances, np.full(N, np.inf), p, hazards)
    other = draw_chances(N, p, 6)
    always = follow_course(everyone, eta, other, np.zeros(N), p, hazards)
    month = YEAR / 12
    pieces = [(0, 6, 0.6), (6, 12, 0.75), (12, 18, 0.9), (18, 36, 1.0)]
    for first, last, ratio in pieces:
        estimates = []
        for course in (always, never):
            begun = course.event_day > first * month
            time, event = course.event_day[begun], np.isfinite(course.recurrence_day[begun])
            estimates.append(nelson_aalen(time, event, last * month))
        (treated, treated_se), (control, control_se) = estimates
        error = np.sqrt((treated_se / treated) ** 2 + (control_se / control) ** 2)
        assert abs(np.log(treated / control) - np.log(ratio)) <= Z * error, (first, last)
    deaths = [nelson_aalen(c.event_day, c.death_day <= c.event_day, 60 * month) for c in (always, never)]
    error = np.hypot(deaths[0][1], deaths[1][1])
    assert abs(deaths[0][0] - deaths[1][0]) <= Z * error


# --- potential outcomes ----------------------------------------------------------------------------------------


def test_without_an_effect_both_potential_outcomes_are_the_same():
    made = simulate_patients(parameters(scenario="null", size=3000), seed=8)
    one, other = made.strategies["sorafenib"], made.strategies["control"]
    for name in ("recurrence_day", "recurrence_cause", "death_day"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert not np.array_equal(one.examinations, other.examinations)


def test_sorafenib_cannot_change_what_happened_before_it_started(patients):
    one, other = patients.strategies["sorafenib"], patients.strategies["control"]
    before = other.event_day <= one.start_day
    assert before.sum() > 100
    assert np.array_equal(one.event_day[before], other.event_day[before])
    # with a late start under the other strategy, an early one may have waned by the time it is needed
    never = np.isinf(other.start_day)
    assert (one.event_day >= other.event_day - 1e-6)[never].all(), "a protective drug brings no event forward"
    assert (one.event_day > other.event_day + 1)[never & ~before].mean() > 0.1


def test_what_happens_is_the_outcome_of_the_strategy_followed(patients):
    truth = truth_frame(patients, parameters(size=N))
    early = truth["planned_start_day"] <= 60
    assert (truth.loc[early, "start_day_sorafenib"] == truth.loc[early, "planned_start_day"]).all()
    late = truth["planned_start_day"] > 60
    assert (truth.loc[late, "start_day_control"] == truth.loc[late, "planned_start_day"]).all()
    assert truth.loc[~truth["planned"], "start_day_control"].isna().all()
    assert truth["start_day_sorafenib"].between(1, 60).all()
    for arm, followed in (("sorafenib", early), ("control", ~early)):
        seen = followed & truth["observed_recurrence_day"].notna()
        assert (truth.loc[seen, "observed_recurrence_day"] == truth.loc[seen, f"detected_day_{arm}"]).all()
        died = followed & truth["observed_death"]
        assert (truth.loc[died, "observed_end_day"] == np.ceil(truth.loc[died, f"death_day_{arm}"])).all()
    started = truth[truth["started"]]
    assert (started["start_day"] < started["observed_recurrence_day"].fillna(np.inf)).all()


def test_the_true_propensity_is_the_share_who_are_planned_an_early_start(patients):
    early = (patients.plan["planned_start_day"] <= 60).to_numpy()
    propensity = patients.plan["propensity"].to_numpy()
    edges = np.quantile(propensity, np.linspace(0, 1, 6))
    group = np.clip(np.searchsorted(edges, propensity) - 1, 0, 4)
    for k in range(5):
        expected, n = propensity[group == k].mean(), (group == k).sum()
        assert near_share(early[group == k].mean(), expected, n), k


def difference(values, group):
    """Return the difference of two means in standard errors."""
    a, b = values[group], values[~group]
    return (a.mean() - b.mean()) / np.sqrt(a.var() / len(a) + b.var() / len(b))


def test_sorafenib_goes_to_patients_at_higher_risk(patients):
    planned, people = patients.plan["planned"].to_numpy(), patients.population
    for name in ("largest_tumour_cm", "tumour_count", "recurrent_hcc"):
        assert difference(people[name].to_numpy(dtype=float), planned) > Z, name
    assert difference(np.log(people["afp_ng_ml"].to_numpy()), planned) > Z
    p, never = parameters(size=N), np.full(N, np.inf)
    untreated = follow_course(people, patients.eta, patients.chances, never, p, solve_baseline(p))
    fate = np.minimum(untreated.event_day, 36 * YEAR / 12)
    assert difference(fate, planned) < -Z, "without sorafenib they would have done worse"


def test_without_confounding_sorafenib_goes_to_anybody():
    p = parameters(**{"scenarios.waning.confounding_multiplier": 0.0}, size=N)
    people = draw_population(p, N, 4)
    planned = draw_plan(people, p, 4)["planned"].to_numpy()
    for name in ("largest_tumour_cm", "tumour_count", "recurrent_hcc"):
        assert abs(difference(people[name].to_numpy(dtype=float), planned)) < Z, name


def test_strong_confounding_is_stronger_with_about_as_many_treated():
    shares, gaps = [], []
    for scenario in ("waning", "strong_confounding"):
        p = parameters(scenario=scenario, size=N)
        people = draw_population(p, N, 4)
        planned = draw_plan(people, p, 4)["planned"].to_numpy()
        shares.append(planned.mean())
        gaps.append(difference(people["largest_tumour_cm"].to_numpy(), planned))
    assert gaps[1] > 1.5 * gaps[0]
    assert abs(shares[1] - shares[0]) < 0.05


# --- the traps -------------------------------------------------------------------------------------------------


def rate_ratio(time, event, group):
    """Return the log ratio of event rates and its standard error (Poisson)."""
    counts = [event[group].sum(), event[~group].sum()]
    rates = [counts[0] / time[group].sum(), counts[1] / time[~group].sum()]
    return np.log(rates[0] / rates[1]), np.sqrt(1 / counts[0] + 1 / counts[1])


def test_immortal_time_makes_a_useless_drug_look_good():
    """In the null scenario without confounding, ever against never treated favours sorafenib; by plan it does not."""
    p = parameters(
        scenario="null",
        size=60_000,
        **{
            "scenarios.null.confounding_multiplier": 0.0,
            "observation.imaging_interval_on_sorafenib_days": 91.0,
            "outcomes.centre_log_hazard_sd": 0.0,
            **{f"centres.{site}.sorafenib_log_odds": 0.0 for site in parameters().centres},
        },
    )
    made = simulate_patients(p, seed=21)
    seen = made.observed
    end = np.minimum(seen.detected_day, seen.end_day)
    event = np.isfinite(seen.detected_day) | seen.died
    kept = made.population["eligible"].to_numpy() & (end > 0)
    ever = np.isfinite(seen.start_day)
    naive, error = rate_ratio(end[kept], event[kept], ever[kept])
    assert naive < -Z * error
    planned = made.plan["planned"].to_numpy()
    fair, error = rate_ratio(end[kept], event[kept], planned[kept])
    assert abs(fair) < Z * error


def test_closer_imaging_under_sorafenib_finds_recurrence_earlier_though_nothing_else_differs():
    truth = true_estimands(parameters(scenario="null"), seed=2, n_large=12_000)
    rmst = truth[(truth["stat"] == "rmst_months") & (truth["strategy"] == "contrast")].set_index(
        ["basis", "dating", "endpoint", "population"]
    )
    same = rmst.loc[rmst.index.get_level_values("dating") == "true"]
    # the landmark's members are those in whom no recurrence was seen, which depends on imaging by a hair
    assert (same["value"].abs() <= Z * same["mc_se"] + 1e-12).all()
    assert same.loc[("time_zero", "true", "RFS", "all"), "value"] == 0
    seen = rmst.loc[("time_zero", "detected", "RFS", "all")]
    assert seen["value"] < -Z * seen["mc_se"]


def test_true_estimands_have_the_sign_of_the_scenario_and_agree_with_the_patients():
    waning = true_estimands(parameters(), seed=2, n_large=12_000)
    contrast = waning[(waning["strategy"] == "contrast") & (waning["endpoint"] == "RFS")]
    rmst = contrast[contrast["stat"] == "rmst_months"]
    ratio = contrast[contrast["stat"] == "log_hazard_ratio"]
    assert len(rmst) == 8 and (rmst["value"] > Z * rmst["mc_se"]).all()
    assert len(ratio) == 8 and (ratio["value"] < -Z * ratio["mc_se"]).all()
    harm = true_estimands(parameters(scenario="harm"), seed=2, n_large=12_000)
    lost = harm[(harm["strategy"] == "contrast") & (harm["stat"] == "rmst_months")]
    assert (lost["value"] < -Z * lost["mc_se"]).all()
    # time zero, everyone: also computed here from one simulated study with the same centres
    study = simulate_patients(parameters(size=N), seed=2)
    eligible = study.population["eligible"].to_numpy()
    for arm in ("sorafenib", "control"):
        restricted = np.minimum(study.strategies[arm].event_day[eligible] / (YEAR / 12), 36)
        row = waning.query(
            "basis == 'time_zero' and dating == 'true' and endpoint == 'RFS' and population == 'all'"
            " and stat == 'rmst_months' and strategy == @arm"
        ).iloc[0]
        error = np.hypot(row["mc_se"], restricted.std() / np.sqrt(len(restricted)))
        assert abs(restricted.mean() - row["value"]) <= Z * error, arm


# --- records ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records():
    p = parameters(size=4000)
    made = simulate_patients(p, seed=9)
    tables = write_records(
        made.population,
        made.observed,
        made.natural,
        made.index_date,
        made.subject_id,
        canonical_uln(),
        p,
        9,
    )
    return p, made, tables


def keys(frame):
    return frame["site"] + "/" + frame["subject_id"]


def test_treated_patients_have_the_declared_events_of_the_drug(records):
    p, made, tables = records
    site = made.population["site"].to_numpy()
    treated = {f"{s}/{i}" for s, i in zip(site, made.subject_id, strict=True)} & set(
        (site + "/" + made.subject_id.astype(str))[np.isfinite(made.observed.start_day)]
    )
    events = tables["adverse_events"]
    related = events[events["related_drug"] == "Y"]
    assert set(keys(related)) <= treated
    attributed = p.safety.attributed_to_drug.value
    for term, rate in p.safety.events.items():
        own = related[related["term"] == term]
        assert near_share(keys(own).nunique() / len(treated), rate.on_sorafenib.value * attributed, len(treated)), term
        severe = keys(own[own["grade"] >= 3]).nunique() / len(treated)
        assert near_share(severe, rate.severe_on_sorafenib.value * attributed, len(treated)), term
    assert events.loc[events["term"] == "Alopecia", "grade"].max() <= 2


def test_complications_of_the_index_session_are_as_frequent_as_declared(records):
    p, _, tables = records
    sessions = tables["ablations"].query("tumour_no == 1")
    grade = sessions["complication_clavien_dindo"]
    major, minor = grade.isin(["IIIa", "IIIb", "IVa", "IVb"]), grade.isin(["I", "II"])
    assert near_share(major.mean(), p.safety.major_complication.value, len(sessions))
    assert near_share(minor.mean(), p.safety.minor_complication.value, len(sessions))
    fatal = tables["adverse_events"].query("grade == 5")
    assert (fatal["outcome"] == "fatal").all()


def test_complications_are_dated_within_days_some_late_some_not_at_all(records):
    p, _, tables = records
    s = p.safety
    hurt = tables["ablations"].dropna(subset="complication_clavien_dindo")
    assert hurt["complication_sir"].notna().all()
    assert tables["ablations"].loc[~tables["ablations"].index.isin(hurt.index), "complication_date"].isna().all()
    days = (hurt["complication_date"] - hurt["ablation_date"]).dt.days
    first, last = s.late_complication_days.value
    late = days.between(first, last)
    assert (days.isna() | days.between(0, 3) | late).all()
    assert near_share(days.isna().mean(), s.complication_date_missing.value, len(hurt))
    assert 0 < late.sum() and late.mean() < 2 * s.late_complication.value
    # a complication with a date of its own is the adverse event of that day
    events = tables["adverse_events"].query("related_rfa == 'Y'")
    known = set(zip(keys(events), events["term"], events["start_date"], strict=True))
    early = hurt[days.between(0, 3)]
    named = set(zip(keys(early), early["complication_term"], early["complication_date"], strict=True))
    assert len(named & known) / len(named) > 0.95  # the others died on the day of the session


def test_local_progression_names_index_tumours_the_larger_more_often(records):
    p, _, tables = records
    ablations = tables["ablations"].assign(key=keys)
    index = ablations[ablations["ablation_date"] == ablations.groupby("key")["ablation_date"].transform("min")]
    treated = index.groupby("key")["tumour_no"].agg(set)
    exams = tables["imaging"].assign(key=keys)
    ltp = exams["finding"].str.contains("LTP")
    assert exams.loc[~ltp, "ltp_tumours"].isna().all()
    first = exams[ltp & (exams["imaging_date"] == exams["key"].map(
        exams[exams["finding"] != "no_recurrence"].groupby("key")["imaging_date"].min()
    ))]  # fmt: skip
    assert near_share(
        first["ltp_tumours"].isna().mean(), p.observation.progressed_tumour_not_recorded.value, len(first)
    )
    named = exams.dropna(subset="ltp_tumours")
    numbers = named["ltp_tumours"].str.split("+").map(lambda each: {int(number) for number in each})
    assert all(own <= treated[key] for own, key in zip(numbers, named["key"], strict=True))
    several = named["key"].map(treated.map(len)) > 1
    # the first of the numbers is the largest tumour: drawn more often than by chance
    chance = (1 / named["key"].map(treated.map(len)))[several].mean()
    assert numbers[several].map(lambda own: 1 in own).mean() > chance


def test_records_lie_between_the_rfa_and_the_end_of_observation(records):
    p, _, tables = records
    patients = tables["patients"].assign(key=keys).set_index("key")
    cutoff = np.datetime64(p.accrual.data_cutoff.value)
    dead = patients["vital_status"] == "dead"
    assert patients["death_date"].notna().equals(dead)
    assert 0.2 < dead.mean() < 0.6
    for table, columns in {
        "ablations": ["ablation_date", "complication_date"],
        "drug_exposure": ["start_date", "end_date"],
        "imaging": ["imaging_date"],
        "labs": ["sample_date"],
        "adverse_events": ["start_date", "end_date"],
    }.items():
        frame = tables[table]
        death = keys(frame).map(patients["death_date"])
        for column in columns:
            assert not (frame[column] > death).any(), (table, column)
            assert not (frame[column] > cutoff).any(), (table, column)
    for table in ("drug_exposure", "adverse_events"):
        assert not (tables[table]["end_date"] < tables[table]["start_date"]).any(), table


def test_doses_follow_each_other_and_their_changes_are_explained(records):
    _, _, tables = records
    doses = tables["drug_exposure"].assign(key=keys)
    following = doses.groupby("key")["start_date"].shift(-1)
    assert (following.isna() | (doses["end_date"] < following)).all()
    assert doses["end_date"].isna().equals(doses["change_reason"] == "ongoing")
    by_event = (doses["change_reason"] == "adverse_event").sum()
    actions = tables["adverse_events"]["action"]
    assert (actions != "none").sum() == by_event > 100
    assert set(actions) == {"none", "reduced", "interrupted", "stopped"}


def test_laboratory_values_peak_after_rfa_and_bilirubin_rises_after_recurrence(records):
    p, made, tables = records
    labs = tables["labs"]
    index = dict(zip(made.population["site"] + "/" + made.subject_id.astype(str), made.index_date, strict=True))
    day = (labs["sample_date"] - keys(labs).map(index)).dt.days
    alt = labs["test"] == "ALT"
    before, peak = labs[alt & (day <= 0)], labs[alt & day.between(1, 3)]
    fold = p.laboratory.peak_fold_after_rfa.value["ALT"]
    log_ratio = np.log(peak["value"].median() / before["value"].median())
    # standard error of a median of logs, twice: baseline spread, and baseline spread with that of the peak
    spread = p.baseline.alt_u_l.value.log_sd
    error = 1.2533 * np.sqrt(spread**2 / len(before) + (spread**2 + fold.log_sd**2) / len(peak))
    assert abs(log_ratio - np.log(fold.median)) <= Z * error
    assert (day[labs["test"] == "CREA"] <= 0).all()
    assert (labs["uln"] > 0).all()
