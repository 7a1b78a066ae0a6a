"""The parameters of the simulated cohort: the shape of ``simulation.yaml``, and how it is loaded.

Every parameter says where it comes from. None is fitted to a publication: where a published figure is the anchor, its
key is named; everything else is called an assumption.
"""

from __future__ import annotations

import datetime as dt
import difflib
import itertools
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from sorafenib_rfa.config.load import read_yaml, validate
from sorafenib_rfa.config.models import Slug, Strict
from sorafenib_rfa.errors import ConfigError, Problem

T = TypeVar("T")

Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Correlation = Annotated[float, Field(gt=-1, lt=1)]
Count = Annotated[int, Field(ge=0)]

DAYS_PER_YEAR = 365.25


class Parameter(Strict, Generic[T]):
    """One parameter with its origin."""

    value: T
    source: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="Key in manuscript/references.bib, or assumption.")
    status: Literal["seen", "recalled", "derived", "assumption"] = Field(
        description="seen: read in the source; recalled: from memory, to be verified; derived: computed from it."
    )
    note: str = Field(min_length=3)

    @model_validator(mode="after")
    def _an_assumption_has_no_source(self) -> Parameter[T]:
        if (self.source == "assumption") != (self.status == "assumption"):
            raise ValueError("source and status must both say assumption, or neither")
        return self


def _sums_to_one(shares: dict[str, float]) -> dict[str, float]:
    total = sum(shares.values())
    if abs(total - 1) > 1e-9:
        raise ValueError(f"the shares must sum to 1, they sum to {total:g}")
    return shares


Shares = Annotated[dict[str, Probability], AfterValidator(_sums_to_one)]

ETIOLOGIES = ("HBV", "HCV", "Alcohol", "Other")


def _by_etiology(values: dict[str, float]) -> dict[str, float]:
    if tuple(values) != ETIOLOGIES:
        raise ValueError(f"the keys must be {', '.join(ETIOLOGIES)}, in this order")
    return values


ByEtiology = Annotated[dict[str, float], AfterValidator(_by_etiology)]
EtiologyShares = Annotated[Shares, AfterValidator(_by_etiology)]


class Normal(Strict):
    """Mean and standard deviation."""

    mean: float
    sd: Positive


class LogNormal(Strict):
    """Median, and standard deviation of the natural logarithm."""

    median: Positive
    log_sd: Positive


class Weibull(Strict):
    """``S(t) = exp(-(t / scale_years) ** shape)``."""

    shape: Positive
    scale_years: Positive

    def cumulative_hazard(self, days: Any) -> Any:
        """Return the cumulative hazard after `days`."""
        return (days / (self.scale_years * DAYS_PER_YEAR)) ** self.shape


class EffectPiece(Strict):
    """A hazard ratio that holds from so many months after the first dose on, until the next piece."""

    from_month: NotNegative
    hazard_ratio: Positive


def _from_the_first_dose_on(pieces: list[EffectPiece]) -> list[EffectPiece]:
    starts = [piece.from_month for piece in pieces]
    if not starts or starts[0] != 0 or any(b <= a for a, b in itertools.pairwise(starts)):
        raise ValueError(f"the pieces must begin at month 0 and rise, found {starts}")
    return pieces


Effect = Annotated[list[EffectPiece], AfterValidator(_from_the_first_dose_on)]


class Accrual(Strict):
    """When patients have their index RFA, and when the data are cut."""

    first_day: Parameter[dt.date]
    last_day: Parameter[dt.date]
    data_cutoff: Parameter[dt.date]

    @model_validator(mode="after")
    def _in_order(self) -> Accrual:
        if not self.first_day.value < self.last_day.value < self.data_cutoff.value:
            raise ValueError("first_day, last_day and data_cutoff must follow each other")
        return self


class Strategies(Strict):
    """The treatment strategies that are contrasted; the same numbers as in the plan."""

    grace_period_days: Parameter[Positive]
    landmark_day: Parameter[Positive]
    rmst_horizon_months: Parameter[Positive]
    horizons_months: Parameter[list[Positive]]


class Centre(Strict):
    """One fictional centre: its share of the patients and its case mix and habits."""

    share: Parameter[Probability]
    etiology: Parameter[EtiologyShares]
    sorafenib_log_odds: Parameter[float] = Field(description="Added to the log odds that sorafenib is planned.")


class PairedCorrelation(Strict):
    """Correlation of two latent standard normals of the Gaussian copula."""

    between: tuple[str, str]
    value: Correlation


LATENT = (
    "age", "albi", "bilirubin", "cirrhosis", "platelets", "inr", "ascites", "encephalopathy", "size", "count", "afp",
    "alt", "ast", "alp", "ggt", "creatinine",
)  # fmt: skip
"""Latent standard normals of the Gaussian copula."""

BASELINE_CODES = {
    "ascites": ("none", "mild", "moderate_severe"),
    "encephalopathy": ("none", "grade_1_2", "grade_3_4"),
    "ecog": ("0", "1", "2", "3", "4"),
}


class Baseline(Strict):
    """Distributions at the index RFA; a Gaussian copula joins those that are correlated."""

    age_years: Parameter[Normal]
    age_range_years: Parameter[tuple[float, float]]
    age_shift_by_etiology: Parameter[ByEtiology] = Field(description="Years; centred, so the mean age stays.")
    minors: Parameter[Probability]
    minor_age_years: Parameter[tuple[float, float]]
    male: Parameter[Probability]
    male_log_odds_by_etiology: Parameter[ByEtiology]
    cirrhosis_by_etiology: Parameter[ByEtiology]
    antiviral_by_etiology: Parameter[ByEtiology]
    albi_score: Parameter[Normal]
    log10_bilirubin: Parameter[Normal] = Field(description="log10 of umol/L.")
    bilirubin_albi_correlation: Parameter[Correlation]
    inr: Parameter[LogNormal]
    platelets_10_9_l: Parameter[LogNormal]
    alt_u_l: Parameter[LogNormal]
    ast_u_l: Parameter[LogNormal]
    alp_u_l: Parameter[LogNormal]
    ggt_u_l: Parameter[LogNormal]
    creatinine_umol_l: Parameter[LogNormal]
    afp_ng_ml: Parameter[LogNormal]
    largest_tumour_cm: Parameter[LogNormal]
    largest_tumour_range_cm: Parameter[tuple[float, float]]
    other_tumour_ratio: Parameter[tuple[float, float]] = Field(description="Of the largest diameter.")
    tumour_count: Parameter[Shares] = Field(description="1, 2, ... -> share.")
    ascites: Parameter[Shares]
    encephalopathy: Parameter[Shares]
    ecog: Parameter[Shares]
    recurrent_hcc: Parameter[Probability]
    vascular_invasion: Parameter[Probability]
    extrahepatic_spread: Parameter[Probability]
    prior_systemic_therapy: Parameter[Probability]
    incomplete_ablation: Parameter[Probability]
    no_rfa: Parameter[Probability]
    no_follow_up: Parameter[Probability]
    sorafenib_before_rfa: Parameter[Probability]
    correlations: Parameter[list[PairedCorrelation]]

    @model_validator(mode="after")
    def _codes_are_known(self) -> Baseline:
        for name, known in BASELINE_CODES.items():
            found = tuple(getattr(self, name).value)
            if found != known:
                raise ValueError(f"{name} must have the keys {', '.join(known)}, found {', '.join(found)}")
        if [int(count) for count in self.tumour_count.value] != list(range(1, len(self.tumour_count.value) + 1)):
            raise ValueError("tumour_count must have the keys 1, 2, 3 and so on")
        self.latent_correlations()
        return self

    def latent_correlations(self) -> list[list[float]]:
        """Return the correlation matrix of :data:`LATENT`, in that order.

        Raises
        ------
        ValueError
            If a pair names something else, or no joint distribution has these correlations.
        """
        import numpy as np

        matrix = np.eye(len(LATENT))
        pairs = [(pair.between, pair.value) for pair in self.correlations.value]
        pairs.append((("albi", "bilirubin"), self.bilirubin_albi_correlation.value))
        for (one, other), value in pairs:
            if one not in LATENT or other not in LATENT or one == other:
                raise ValueError(f"correlations: {one} and {other} must be two of {', '.join(LATENT)}")
            i, j = LATENT.index(one), LATENT.index(other)
            matrix[i, j] = matrix[j, i] = value
        lowest = float(np.linalg.eigvalsh(matrix)[0])
        if lowest <= 1e-6:
            raise ValueError(f"correlations: no distribution has all of them at once (smallest eigenvalue {lowest:g})")
        return matrix.tolist()


class Treatment(Strict):
    """Who is planned to have sorafenib and when it starts."""

    intercept: Parameter[float]
    log_odds_size_per_cm: Parameter[float]
    log_odds_per_further_tumour: Parameter[float]
    log_odds_recurrent_hcc: Parameter[float]
    log_odds_afp_per_log10: Parameter[float]
    log_odds_albi_per_unit: Parameter[float]
    log_odds_age_per_10_years: Parameter[float]
    start_delay_days: Parameter[LogNormal]
    late_start: Parameter[Probability] = Field(description="Of the planned starts: months after RFA instead.")
    late_start_delay_days: Parameter[LogNormal]
    shortest_delay_days: Parameter[Positive]
    given_after_recurrence: Parameter[Probability]


class CauseHazardRatios(Strict):
    """Hazard ratios of one covariate: on every kind of recurrence, and on death."""

    recurrence: Parameter[Positive]
    local_progression: Parameter[Positive] | None = Field(
        default=None, description="Instead of `recurrence`, for local tumour progression."
    )
    death: Parameter[Positive]


COVARIATES = (
    "albi_grade_2_3",
    "age_above_65",
    "platelets_below_100",
    "size_per_cm",
    "several_tumours",
    "recurrent_hcc",
    "afp_per_log10",
)


class Outcomes(Strict):
    """Hazards of the first recurrence by kind and of death, without sorafenib."""

    recurrence_free_survival: Parameter[Weibull]
    overall_survival: Parameter[Weibull]
    local_progression_free: dict[str, Parameter[Weibull]]
    local_progression_base: Parameter[str] = Field(description="The curve by which the other kinds are derived.")
    extrahepatic_share: Parameter[Probability] = Field(description="Of the hazard of recurrence that is not local.")
    death_before_recurrence_share: Parameter[Probability] = Field(
        description="Hazard of death before recurrence, as a share of the marginal hazard of death."
    )
    extrahepatic_death_hazard_ratio: Parameter[Positive]
    hazard_ratios: dict[str, CauseHazardRatios]
    centre_log_hazard_sd: Parameter[NotNegative]

    @model_validator(mode="after")
    def _names_are_known(self) -> Outcomes:
        if tuple(self.hazard_ratios) != COVARIATES:
            raise ValueError(f"hazard_ratios must have the keys {', '.join(COVARIATES)}, in this order")
        if self.local_progression_base.value not in self.local_progression_free:
            raise ValueError(
                f"local_progression_base names {self.local_progression_base.value!r}, "
                f"local_progression_free has {', '.join(self.local_progression_free)}"
            )
        return self


class Observation(Strict):
    """Imaging, drop-out and what follows a recurrence."""

    first_imaging_day: Parameter[Positive]
    imaging_interval_days: Parameter[Positive]
    imaging_interval_on_sorafenib_days: Parameter[Positive]
    interval_jitter: Parameter[Annotated[float, Field(ge=0, lt=0.5)]]
    missed_imaging: Parameter[Probability]
    modality: Parameter[Shares]
    unspecified_finding: Parameter[Probability]
    drop_out_per_year: Parameter[NotNegative]
    last_contact_before_end_days: Parameter[Positive]
    repeat_rfa: Parameter[dict[str, Probability]]
    repeat_rfa_delay_days: Parameter[tuple[int, int]]
    further_recurrence_per_year: Parameter[Positive]
    further_recurrence_kind: Parameter[Shares]
    new_tumour_cm: Parameter[tuple[float, float]]
    several_new_tumours: Parameter[Probability]
    guidance: Parameter[Shares]
    progressed_tumour_not_recorded: Parameter[Probability]
    further_tumour_progressed: Parameter[Probability]
    progressed_at_index_after_repeat: Parameter[Probability]


class Dosing(Strict):
    """Doses of sorafenib and when they change."""

    start_mg_per_day: Parameter[Positive]
    stop_shape: Parameter[Positive]
    stop_scale_months: Parameter[Positive]
    longest_months: Parameter[Positive]
    modified: Parameter[Probability]
    modified_after_days: Parameter[Positive]
    interruption_first: Parameter[Probability]
    interruption_days: Parameter[tuple[int, int]]
    reduced_mg_per_day: Parameter[Shares]
    back_to_full_dose: Parameter[Probability]
    back_to_full_dose_after_days: Parameter[Positive]
    after_recurrence_delay_days: Parameter[tuple[int, int]]
    after_recurrence_length_days: Parameter[tuple[int, int]]
    stop_reason: Parameter[Shares]


class EventRate(Strict):
    """How often one adverse event occurs."""

    on_sorafenib: Parameter[Probability] = Field(description="Share of the treated who have it from the drug.")
    severe_on_sorafenib: Parameter[Probability] = Field(description="Share of the treated who have it at grade 3-4.")
    background_per_year: Parameter[NotNegative] = Field(description="Rate in everyone, drug or not; grade 1-2.")

    @model_validator(mode="after")
    def _severe_is_a_part(self) -> EventRate:
        if self.severe_on_sorafenib.value > self.on_sorafenib.value:
            raise ValueError("severe_on_sorafenib is a part of on_sorafenib and cannot exceed it")
        return self


class Complication(Strict):
    """A complication of RFA: CTCAE term and Clavien-Dindo grades it may have, with weights."""

    weight: Positive
    clavien_dindo: Annotated[dict[Literal["I", "II", "IIIa", "IIIb", "IVa", "IVb"], Probability], Field(min_length=1)]


class Safety(Strict):
    """Adverse events and complications."""

    events: dict[str, EventRate]
    onset_days: Parameter[Positive] = Field(description="Mean time from first dose to an event of the drug.")
    duration_days: Parameter[LogNormal]
    attributed_to_drug: Parameter[Probability]
    serious_if_severe: Parameter[Probability]
    life_threatening_if_severe: Parameter[Probability]
    mild_is_grade_2: Parameter[Probability]
    post_ablation: dict[str, Parameter[Probability]] = Field(description="CTCAE term -> share of sessions, grade 1-2.")
    major_complication: Parameter[Probability]
    minor_complication: Parameter[Probability]
    procedure_death: Parameter[Probability]
    complication_date_missing: Parameter[Probability]
    late_complication: Parameter[Probability]
    late_complication_days: Parameter[tuple[int, int]]
    major: Parameter[dict[str, Complication]]
    minor: Parameter[dict[str, Complication]]


class Laboratory(Strict):
    """Laboratory values over time."""

    baseline_before_rfa_days: Parameter[int]
    within_patient_log_sd: Parameter[dict[str, NotNegative]]
    log_change_per_year: Parameter[dict[str, float]]
    log_change_on_sorafenib: Parameter[dict[str, float]]
    log_change_after_recurrence: Parameter[dict[str, float]]
    peak_fold_after_rfa: Parameter[dict[str, LogNormal]]
    liver_injury: Parameter[Probability]
    liver_injury_uln: Parameter[dict[str, Positive]]
    follow_up_tests: Parameter[list[str]]
    every_visit_until_months: Parameter[Positive]
    missing_baseline: Parameter[dict[str, Probability]]
    missing_follow_up: Parameter[dict[str, Probability]]
    missing_patient_fact: Parameter[dict[str, Probability]]


class Dirt(Strict):
    """Errors planted in the exports; rates are shares of rows, counts are a centre."""

    exact_duplicate: Parameter[Probability]
    conflicting_patient: Parameter[Probability]
    impossible_age: Parameter[Probability]
    albumin_slip: Parameter[Probability]
    negative_lab: Parameter[Probability]
    diameter_slip: Parameter[Probability]
    code_typo: Parameter[Probability]
    impossible_date: Parameter[Probability]
    future_date: Parameter[Probability]
    unknown_unit: Parameter[Probability]
    stray_space: Parameter[Probability]
    full_width_digits: Parameter[Probability]
    wrong_bclc: Parameter[Probability]
    orphan_row: Parameter[Probability]
    lab_after_death: Parameter[Probability]
    grade_6: Parameter[Probability]
    end_before_start: Parameter[Probability]
    grade_0: Parameter[Probability]
    event_before_index: Parameter[Probability]
    lab_minus_one: Parameter[Probability]
    missing_uln: Parameter[Probability]
    complication_before_session: Parameter[Probability]
    not_a_tumour_list: Parameter[Probability]
    unknown_tumour: Parameter[Probability]
    tumour_without_ltp: Parameter[Probability]


class Scenario(Strict):
    """What is true of sorafenib in one scenario."""

    recurrence_hazard_ratio: Parameter[Effect]
    death_hazard_ratio: Parameter[Effect]
    confounding_multiplier: Parameter[NotNegative] = Field(
        description="Multiplies every log odds of a patient's own covariates; 0 is treatment at random in a centre."
    )
    intercept_shift: Parameter[float] = Field(description="Keeps the share treated when the multiplier changes.")


class SimulationParameters(Strict):
    """``config/cohorts/synthetic/simulation.yaml``."""

    size: int = Field(ge=60, le=200_000, description="Patients screened over all centres.")
    scenario: Slug
    local_progression: Slug = Field(description="Which curve of outcomes.local_progression_free holds.")
    accrual: Accrual
    strategies: Strategies
    centres: dict[Slug, Centre]
    baseline: Baseline
    treatment: Treatment
    outcomes: Outcomes
    observation: Observation
    dosing: Dosing
    safety: Safety
    laboratory: Laboratory
    dirt: Dirt
    scenarios: dict[Slug, Scenario]

    @model_validator(mode="after")
    def _names_resolve(self) -> SimulationParameters:
        if self.scenario not in self.scenarios:
            raise ValueError(f"scenario: {self.scenario!r} is none of {', '.join(self.scenarios)}")
        if self.local_progression not in self.outcomes.local_progression_free:
            raise ValueError(
                f"local_progression: {self.local_progression!r} is none of "
                + ", ".join(self.outcomes.local_progression_free)
            )
        _sums_to_one({name: centre.share.value for name, centre in self.centres.items()})
        return self

    @property
    def truth(self) -> Scenario:
        """The chosen scenario."""
        return self.scenarios[self.scenario]


def load_parameters(path: Path, **overrides: Any) -> SimulationParameters:
    """Return the parameters of the simulation.

    Parameters
    ----------
    path : Path
        ``simulation.yaml``.
    **overrides
        Values that replace those of the file: ``size=150``, ``scenario="null"``, or, by dotted name, the value of one
        parameter: ``**{"observation.missed_imaging": 0.2}``.

    Raises
    ------
    ConfigError
        With one problem a faulty key; an override that names no parameter is one.
    """
    shown = "/".join(path.parts[-4:])
    content = read_yaml(path, shown)
    for name, value in overrides.items():
        _override(content, name, value)
    return validate(SimulationParameters, content, shown)


def _override(content: dict[str, Any], name: str, value: Any) -> None:
    *parents, last = name.split(".")
    holder: Any = content
    for part in [*parents, last]:
        if not isinstance(holder, dict) or part not in holder:
            known = list(holder) if isinstance(holder, dict) else []
            close = difflib.get_close_matches(part, known, n=1)
            raise ConfigError(
                Problem(
                    f"override {name}: there is no such parameter",
                    found=repr(part),
                    expected="one of " + ", ".join(known) if known else "no key below this",
                    hint=f"did you mean {close[0]!r}?" if close else None,
                )
            )
        parent, holder = holder, holder[part]
    if isinstance(holder, dict) and "status" in holder:
        parent[last] = {**holder, "value": value, "source": "assumption", "status": "assumption", "note": "overridden"}
    elif isinstance(holder, dict):
        raise ConfigError(
            Problem(f"override {name}: this is a group, not a parameter", expected="one of " + ", ".join(holder))
        )
    else:
        parent[last] = value
