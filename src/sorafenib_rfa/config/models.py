"""The shape of every file under ``config/``: the one source of the JSON schemas in ``config/schemas/``.

A key that is not declared here is an error, so a misspelling never silently falls back to a default.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slug = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
"""Names used in paths: lower-case letters, digits, underscores."""

TableName = Literal["patients", "ablations", "drug_exposure", "imaging", "labs", "adverse_events", "survival_times"]


class Strict(BaseModel):
    """A model that refuses keys it does not know and cannot be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- config/config.yaml -------------------------------------------------------------------------------------------


class Disclosure(Strict):
    """What may leave the house: rules of disclosure control for the target ``release``."""

    threshold: int = Field(
        default=8, ge=2, description="Counts from 1 to one below this are not released, nor counts that lack so few."
    )
    rounding_base: int = Field(
        default=5, ge=1, description="Released counts are multiples of this; 1 leaves them as they are."
    )
    protection_width: int = Field(
        default=3, ge=2, description="Whole numbers that must remain possible for every count that is not released."
    )
    significant_digits: int = Field(default=3, ge=2, le=6, description="Digits of released estimates.")
    curve_step_months: float = Field(
        default=1.0, gt=0, description="Released curves step at multiples of this many months only."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Disclosure:
        if self.threshold <= self.rounding_base / 2:
            raise ValueError("rounding_base must be less than twice the threshold, or a count released would become 0")
        if self.protection_width >= self.threshold:
            raise ValueError("protection_width must be below the threshold: no more values are possible for a count")
        return self


class RunConfig(Strict):
    """``config/config.yaml``: what to build."""

    cohort: Slug | list[Slug] = Field(description="Cohort(s) to build: folder name(s) under config/cohorts/.")
    supplement_cohorts: list[Slug] = Field(
        default=[],
        description="Real cohorts, and published evidence, that the paper shows beside the main cohort.",
    )
    seed: int = Field(ge=0, description="Seed of everything random; each job derives its own from it and its name.")
    publication_date: dt.date = Field(
        description="Date printed on the paper; also the SOURCE_DATE_EPOCH that keeps files byte-identical."
    )
    renderer: Literal["auto", "quarto", "embedded"] = Field(
        default="auto", description="auto takes Quarto when its binary is on PATH, the embedded renderer otherwise."
    )
    disclosure: Disclosure = Field(
        default_factory=Disclosure, description="Rules of disclosure control for the target release."
    )
    validation_plan: Slug = Field(
        default="default", description="Plan of config/validation.yaml by which the validation study is run and shown."
    )

    @property
    def cohorts(self) -> list[str]:
        """Cohorts to build, always as a list."""
        return [self.cohort] if isinstance(self.cohort, str) else list(self.cohort)


# --- config/plan.yaml: the statistical analysis plan -----------------------------------------------------------------


class Estimand(Strict):
    """The five attributes of ICH E9(R1), and how it is estimated."""

    title: str
    population: str
    treatment_strategies: list[str]
    endpoint: str = Field(description="PARAMCD of ADTTE, or a safety variable.")
    intercurrent_events: dict[str, str] = Field(description="Event -> strategy (ICH E9(R1) section A.3.2).")
    summary_measure: str
    other_populations: dict[Literal["ALL", "TREATED"], str] = Field(
        default={},
        description="The same estimand in another population, in words; rows of the ARD cite the id with this suffix.",
    )
    role: Literal["primary", "secondary", "sensitivity", "naive comparison", "negative control", "safety", "prognostic"]


class Covariate(Strict):
    """One baseline variable of the adjustment set or of Table 1."""

    variable: str = Field(description="Column of ADSL.")
    label: str
    kind: Literal["continuous", "binary", "categorical"]
    transform: Literal["none", "log10", "spline"] = "none"
    levels: list[str] | None = Field(default=None, description="Order of display; the first is the reference.")
    positive: str | None = Field(default=None, description="For a binary variable: the level that is reported.")
    digits: int = 1


class EffectOverTime(Strict):
    """How an effect is let vary with time since time zero."""

    cut_months: list[float] = Field(min_length=1, description="Months at which the piecewise effect may change.")
    spline_knots: int = Field(ge=3, le=7, description="Knots of the spline of log time.")
    at_months: list[float] = Field(min_length=1, description="Months at which the spline's hazard ratio is reported.")


class Subgroup(Strict):
    """Levels of a subgroup, each a filter on ADSL: column -> values that belong to the level."""

    label: str
    levels: dict[str, dict[str, list[str]]] = Field(min_length=2)


Estimator = Literal[
    "clone_censor_overlap",
    "clone_censor_ate",
    "landmark_overlap",
    "landmark_iptw",
    "landmark_att",
    "landmark_matched",
    "landmark_adjusted",
    "time_varying_adjusted",
    "unadjusted",
    "naive",
]


class Eligibility(Strict):
    """A narrower population of the specification curve, as a filter on ADSL."""

    label: str
    filter: dict[str, list[str]] = Field(description="ADSL column -> values that stay; no column: everyone.")


class Specification(Strict):
    """One choice of each kind."""

    endpoint: str
    estimator: Estimator
    adjustment_set: str
    grace_period_days: int
    missing: Literal["complete_case", "imputed"]
    eligibility: str


class Specifications(Strict):
    """The choices that the specification curve combines."""

    endpoints: list[str]
    estimators: list[Estimator]
    adjustment_sets: dict[str, list[str]] = Field(description="Name -> covariates of the plan.")
    grace_period_days: list[int]
    missing: list[Literal["complete_case", "imputed"]]
    imputations: int = Field(
        ge=2, description="Imputed data sets a specification uses; fewer than the imputed analysis, enough to describe."
    )
    eligibility: dict[str, Eligibility]
    primary: Specification = Field(description="The combination that is the plan's primary analysis.")

    @model_validator(mode="after")
    def _primary_is_among_them(self) -> Specifications:
        choices = {
            "endpoint": self.endpoints,
            "estimator": self.estimators,
            "adjustment_set": self.adjustment_sets,
            "grace_period_days": self.grace_period_days,
            "missing": self.missing,
            "eligibility": self.eligibility,
        }
        for name, declared in choices.items():
            if getattr(self.primary, name) not in declared:
                raise ValueError(
                    f"primary.{name} is {getattr(self.primary, name)!r}, which is not one of {list(declared)}"
                )
        return self


class Tipping(Strict):
    """Grids of the tipping-point analyses."""

    prevalence_treated: list[float] = Field(description="Of an unmeasured binary confounder among the treated.")
    prevalence_control: list[float] = Field(description="Of the same among the others.")
    hazard_ratios: list[float] = Field(description="Of that confounder on the outcome.")
    censoring_hazard_ratios: list[float] = Field(
        description="Hazard after censoring against that of the patients still followed in the same arm."
    )


class Sensitivity(Strict):
    """Choices of the sensitivity analyses."""

    imputations: int = Field(ge=2, description="Imputed data sets.")
    truncate_weights_at: float = Field(
        gt=0.5, lt=1, description="Quantile of each arm's weights above which the truncated form cuts them."
    )
    caliper_sd: float = Field(gt=0, description="Caliper of matching in standard deviations of the logit of the score.")
    specifications: Specifications
    tipping: Tipping


Key = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]


class EventOfInterest(Strict):
    """A customized query (CDISC ADaM OCCDS): terms of adverse events that are counted together."""

    label: str
    terms: list[str] = Field(min_length=1, description="AEDECOD: terms of CTCAE.")


class LiverPlan(Strict):
    """How liver function is followed."""

    albi_months: list[float] = Field(
        min_length=1, description="Months since RFA at which the mixed model of ALBI reports means and differences."
    )


class ExposurePlan(Strict):
    """How exposure to the drug is described."""

    full_dose_mg_per_day: float = Field(gt=0, description="Labelled dose, to which dose intensity is relative.")
    duration_landmarks_months: list[float] = Field(
        min_length=1, description="Months since RFA at which patients still on the drug meet those who stopped it."
    )


class EventFilter(Strict):
    """Which adverse events an effect counts; those that fit all that is given."""

    min_grade: int | None = Field(default=None, ge=1, le=5)
    serious: bool = False
    of_interest: str | None = Field(default=None, description="A key of events_of_interest.")


class Effect(Strict):
    """One line of the effects table: a benefit or a harm, each by exactly one kind of outcome."""

    id: Slug
    kind: Literal["benefit", "harm"]
    label: str
    endpoint: str | None = Field(default=None, description="PARAMCD of ADTTE.")
    events: EventFilter | None = Field(default=None, description="First adverse event that fits.")
    laboratory: Literal["ALBI"] | None = Field(default=None, description="First ALBI grade above that at baseline.")

    @model_validator(mode="after")
    def _one_outcome(self) -> Effect:
        given = [name for name in ("endpoint", "events", "laboratory") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{self.id}: an effect has one of endpoint, events and laboratory; found {given or 'none'}"
            )
        return self


class BenefitRisk(Strict):
    """Which benefits and harms are weighed, when, and what a month in a worse state is taken to be worth."""

    horizons_months: list[float] = Field(min_length=1)
    utility_toxicity: float = Field(ge=0, le=1, description="Worth of a month with toxicity; an assumption.")
    utility_relapse: float = Field(ge=0, le=1, description="Worth of a month after recurrence; an assumption.")
    effects: list[Effect] = Field(min_length=1)

    @model_validator(mode="after")
    def _ids_differ(self) -> BenefitRisk:
        ids = [effect.id for effect in self.effects]
        repeated = sorted({name for name in ids if ids.count(name) > 1})
        if repeated:
            raise ValueError(f"effects with the same id: {repeated}")
        return self


class Synthesis(Strict):
    """One meta-analysis: of one setting, one group of designs and one endpoint, which are never pooled with others."""

    title: str
    setting: Literal["adjuvant", "tace", "rfa_combination"] = Field(
        description="Setting of studies.csv. Other drugs and other cancers are shown for context and have no synthesis."
    )
    design_group: Literal["randomised", "cohorts"]
    endpoint: Literal["RFS", "TTR", "OS", "TTP", "PFS", "PFS_TACE", "DFS", "TFS", "MVI_EHS", "UNTACEABLE"]


class EvidencePlan(Strict):
    """How published studies are put together."""

    prediction_min_studies: int = Field(ge=3, description="With fewer studies there is no prediction interval.")
    leave_one_out_min_studies: int = Field(ge=3, description="With fewer, what remains is a single study.")
    small_study_min: int = Field(ge=3, description="With fewer, no funnel plot and no test of its asymmetry.")
    p_rounding_max: float = Field(
        gt=0,
        lt=1,
        description="A p value gives a standard error if rounding moves it by no more than this share.",
    )
    at_least_wald: bool = Field(description="Hartung-Knapp intervals are never narrower than Wald's.")
    syntheses: dict[Slug, Synthesis] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> EvidencePlan:
        seen: dict[tuple[str, str, str], str] = {}
        for name, each in self.syntheses.items():
            other = seen.setdefault((each.setting, each.design_group, each.endpoint), name)
            if other != name:
                raise ValueError(f"syntheses.{name}: pools the same studies as syntheses.{other}")
        return self


class Plan(Strict):
    """``config/plan.yaml``: with real patients, decided before the data are looked at; analyses cite its ids."""

    version: str
    grace_period_days: int = Field(gt=0, description="Sorafenib started within this many days of RFA counts.")
    landmark_day: int = Field(
        ge=0, description="Landmark of the time-zero-aligned analysis, days after time zero; 0: no landmark."
    )
    trim_scores: tuple[float, float] = Field(
        description="Patients with a propensity score outside are left out of the trimmed analysis."
    )
    bootstrap_resamples: int = Field(
        ge=0,
        description="Resamples of patients behind bootstrap standard errors, 200 or more; 0: none, and what rests on "
        "them is not estimated (registries of very many patients).",
    )
    baseline_window_days: tuple[int, int] = Field(
        description="Laboratory values from this many days before to this many after index RFA are baseline."
    )
    horizons_months: list[float] = Field(description="Times at which survival and incidence are reported.")
    rmst_horizon_months: float = Field(gt=0)
    confidence_level: float = Field(gt=0, lt=1)
    treatment_emergent_days: int = Field(
        ge=0, description="Days after the last dose during which an adverse event counts as treatment-emergent."
    )
    rfa_complication_days: int = Field(ge=0)
    ctcae_version: Literal["5.0"]
    small_group: int = Field(ge=0, description="A group with fewer patients is described, not tested.")
    estimands: dict[str, Estimand]
    table_one: list[str] = Field(description="Variables of Table 1, in order.")
    adjustment_set: list[str] = Field(description="Variables of the propensity score and the adjusted Cox model.")
    covariates: dict[str, Covariate]
    effect_over_time: EffectOverTime
    subgroups: dict[str, Subgroup]
    sensitivity: Sensitivity | None = Field(
        default=None, description="Required for a cohort whose arms are formed by exposure."
    )
    events_of_interest: dict[Key, EventOfInterest] = Field(
        min_length=1, description="Customized queries of adverse events, shown first in the safety exhibits."
    )
    adverse_event_months: list[float] = Field(
        min_length=1, description="Months at which incidence and mean number of adverse events are reported."
    )
    liver: LiverPlan
    exposure: ExposurePlan
    benefit_risk: BenefitRisk | None = Field(
        default=None, description="Required for a cohort whose arms are formed by exposure."
    )

    evidence: EvidencePlan | None = Field(default=None, description="Required for published evidence.")

    @property
    def estimand_ids(self) -> set[str]:
        """Ids that rows of the ARD may cite: the estimands, and each in its other populations."""
        return {
            *self.estimands,
            *(f"{key}_{suffix}" for key, value in self.estimands.items() for suffix in value.other_populations),
        }

    @model_validator(mode="after")
    def _queries_are_disjoint(self) -> Plan:
        terms = [term for query in self.events_of_interest.values() for term in query.terms]
        repeated = sorted({term for term in terms if terms.count(term) > 1})
        if repeated:
            raise ValueError(f"events_of_interest: a term belongs to one event only; found in several: {repeated}")
        return self

    @model_validator(mode="after")
    def _names_resolve(self) -> Plan:
        named = [*self.table_one, *self.adjustment_set]
        if self.sensitivity is not None:
            named += [name for names in self.sensitivity.specifications.adjustment_sets.values() for name in names]
        unknown = list(dict.fromkeys(name for name in named if name not in self.covariates))
        if unknown:
            raise ValueError(
                "table_one, adjustment_set and the adjustment sets of the specifications name covariates that are not "
                f"declared under covariates: {unknown}"
            )
        if 0 < self.bootstrap_resamples < 200:
            raise ValueError(f"bootstrap_resamples: {self.bootstrap_resamples} are too few: 200 or more, or 0 for none")
        effects = self.benefit_risk.effects if self.benefit_risk else []
        asked = {effect.events.of_interest for effect in effects if effect.events} - {None}
        unknown = sorted(asked - set(self.events_of_interest))
        if unknown:
            raise ValueError(f"benefit_risk.effects name events of interest that are not declared: {unknown}")
        return self

    def query_of(self) -> dict[str, str]:
        """Return AEDECOD term -> key of the event of interest it belongs to."""
        return {term: key for key, query in self.events_of_interest.items() for term in query.terms}


# --- config/cohorts/<cohort>/cohort.yaml -----------------------------------------------------------------------------


class Split(Strict):
    """Two groups of a number, parted at its median among the analysed patients or at a given value."""

    of: str = Field(description="What is split: age_years, or an extra variable that is continuous or integer.")
    median_in: Literal["lower", "upper"] | None = Field(
        default=None, description="Split at the median: group of patients whose value is the median itself."
    )
    at: float | None = Field(default=None, description="Split at this value: the lowest of the upper group.")

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if (self.median_in is None) == (self.at is None):
            raise ValueError("a split is either at the median (median_in) or at a value (at)")
        return self


class ExtraVariable(Strict):
    """A column of ``patients`` beyond the canonical ones, carried to ADSL under its own name."""

    label: str
    kind: Literal["continuous", "integer", "categorical"]
    levels: list[str] | None = None
    unit: str | None = None
    note: str | None = None
    split: Split | None = Field(
        default=None, description="Derived in ADSL instead of read: levels are the lower and the upper group."
    )

    @model_validator(mode="after")
    def _split_has_two_levels(self) -> ExtraVariable:
        if self.split is not None and (self.kind != "categorical" or len(self.levels or ()) != 2):
            raise ValueError("a split variable is categorical and has two levels, the lower and the upper group")
        return self


class PrognosticGroup(Strict):
    """A factor by which a cohort without treatment arms is compared."""

    variable: str
    label: str
    levels: list[str]
    endpoints: list[str]
    published: dict[str, float] = Field(
        default={}, description="Published figures, keyed '<endpoint>.<level>.<statistic>', shown beside ours."
    )


class AssignedArm(Strict):
    """One arm of a trial, assigned at time zero."""

    value: str = Field(description="Value of the patients' `assigned_arm`.")
    label: str = Field(description="Name in datasets and exhibits.")
    slug: Slug = Field(description="Name in ARD ids.")


class AssignedArms(Strict):
    """The two arms of a trial that are compared."""

    treated: AssignedArm
    control: AssignedArm


class PublishedResult(Strict):
    """One figure as others published it, shown beside ours and never tested against."""

    label: str = Field(description="What it is about: 'Recurrence'.")
    statistic: Literal["reduction_percent"] = Field(
        description="reduction_percent: how much lower the rate was in the treated arm, 100 times (1 - hazard ratio)."
    )
    value: float
    citation: str = Field(description="Key in manuscript/references.bib.")
    status: Literal["seen", "recalled"] = Field(
        description="seen: read in the source; recalled: known from memory, to be checked before it is relied on."
    )


class EligibilityStep(Strict):
    """One declared step of selection; steps run in the order written."""

    id: Slug
    rule: Slug = Field(description="A rule of sorafenib_rfa.clean.eligibility.")
    label: str = Field(description="Reason of exclusion as the flow diagram prints it.")
    params: dict[str, float | int | str | list[str]] = {}


class CohortConfig(Strict):
    """``config/cohorts/<cohort>/cohort.yaml``: where the data lie and what they offer."""

    title: str
    synthetic: bool = Field(description="True marks every exhibit made from this cohort as synthetic.")
    raw: str = Field(description="Folder of the raw exports, relative to the repository.")
    citation: str | None = Field(default=None, description="Key in manuscript/references.bib of the data's paper.")
    licence: str | None = Field(
        None,
        description="Licence of the raw data, as in its README. With one, raw files below data/public/ or written by "
        "the workflow go into the bag for reviewers; all others stay with you, and only their digests go.",
    )
    index_event: str = Field(description="What time zero is, in words: 'index RFA'.")
    modules: list[
        Literal[
            "treatment",
            "assigned_treatment",
            "ablations",
            "imaging",
            "labs",
            "adverse_events",
            "survival_times",
            "published_effects",
        ]
    ] = Field(description="What the data hold; published_effects: published studies, not patients (docs/evidence.md).")
    assigned_arms: AssignedArms | None = Field(
        default=None, description="Arms assigned at time zero (module `assigned_treatment`), as in a randomised trial."
    )
    time_unit: Literal["days", "months"] = Field(description="Resolution of the follow-up times in the source.")
    data_cutoff: dt.date | None = None
    endpoints: list[str] = Field(description="PARAMCDs that can be derived.")
    eligibility: list[EligibilityStep]
    extra_variables: dict[str, ExtraVariable] = {}
    prognostic_groups: list[PrognosticGroup] = []
    prognostic_model: list[str] = Field(default=[], description="ADSL columns of the multivariable prognostic model.")
    published: dict[Slug, PublishedResult] = Field(
        default={}, description="Published results of a comparison of arms, shown beside ours."
    )
    notebooks: list[str] = Field(description="Notebooks run for this cohort, without .ipynb.")
    figures: list[str] = Field(description="Figures drawn for this cohort.")
    tables: list[str] = Field(description="Tables made for this cohort.")

    @model_validator(mode="after")
    def _studies_are_no_patients(self) -> CohortConfig:
        if not self.offers("published_effects"):
            return self
        if len(self.modules) > 1:
            others = ", ".join(name for name in self.modules if name != "published_effects")
            raise ValueError(f"modules: published_effects stands alone: studies are no patients; found also {others}")
        if self.synthetic:
            raise ValueError("synthetic: nothing simulated is published evidence; with published_effects this is false")
        if self.eligibility:
            raise ValueError("eligibility: steps select patients; with published_effects the list is empty")
        return self

    @model_validator(mode="after")
    def _splits_are_of_numbers(self) -> CohortConfig:
        numbers = [name for name, extra in self.extra_variables.items() if extra.kind != "categorical"]
        for name, extra in self.extra_variables.items():
            if extra.split is not None and extra.split.of not in (*numbers, "age_years"):
                raise ValueError(
                    f"extra_variables.{name}.split.of: {extra.split.of!r} is not one of age_years, {', '.join(numbers)}"
                )
        return self

    @model_validator(mode="after")
    def _arms_are_declared_once(self) -> CohortConfig:
        assigned = self.offers("assigned_treatment")
        if assigned != (self.assigned_arms is not None):
            raise ValueError("the module assigned_treatment and the key assigned_arms go together")
        if assigned and self.offers("treatment"):
            raise ValueError("modules: arms are either assigned (assigned_treatment) or formed by exposure (treatment)")
        if assigned != any(step.rule == "arm_compared" for step in self.eligibility):
            raise ValueError(
                "eligibility: a step of the rule arm_compared is needed with assigned_arms, and only then: "
                "who was assigned to another arm, or to none on record, leaves there"
            )
        if self.assigned_arms is not None:
            pair = (self.assigned_arms.treated, self.assigned_arms.control)
            for name in ("value", "label", "slug"):
                if getattr(pair[0], name) == getattr(pair[1], name):
                    raise ValueError(f"assigned_arms: both arms have the {name} {getattr(pair[0], name)!r}")
        return self

    def offers(self, module: str) -> bool:
        """Say whether the cohort has `module`."""
        return module in self.modules


# --- config/cohorts/<cohort>/sites/<site>.yaml -----------------------------------------------------------------------


class ColumnMap(Strict):
    """How one column of an export becomes one canonical column."""

    column: str = Field(description="Header in the export, exactly as it stands there.")
    unit: str | None = Field(default=None, description="Unit of the export; converted to the canonical unit.")
    values: dict[str, str] | None = Field(
        default=None, description="Export value -> canonical value. A value not listed is quarantined."
    )
    date_formats: list[str] | None = Field(default=None, description="Overrides the site's date formats.")


class WideTest(Strict):
    """One laboratory test of a wide export: a column a test."""

    column: str
    unit: str
    uln: float | None = Field(default=None, description="Upper limit of normal in `unit`, where the export has none.")


class TableMap(Strict):
    """Where one canonical table lies in a site's export and how to read it."""

    file: str
    sheet: str | None = Field(default=None, description="Sheet of a workbook; required for .xlsx.")
    header_row: int = Field(default=1, ge=1, description="Row of the header, counted from 1.")
    columns: dict[str, str | ColumnMap] = Field(description="Canonical column -> header, or a full column map.")
    constants: dict[str, str] = Field(default={}, description="Canonical columns with one value for the whole table.")
    wide_tests: dict[str, WideTest] | None = Field(
        default=None, description="labs only: PARAMCD -> column, for exports with one column a test."
    )


class SiteSummary(Strict):
    """What stages after ingest may know of a site."""

    title: str
    country: str = Field(pattern=r"^[A-Z]{2}$", description="ISO 3166-1 alpha-2.")
    region: Literal["Asia", "Europe", "North America", "South America", "Africa", "Oceania"]


class SiteConfig(SiteSummary):
    """``config/cohorts/<cohort>/sites/<site>.yaml``: all that is peculiar to one centre's export."""

    folder: str | None = Field(
        default=None, description="Folder of the exports under the cohort's raw folder; the site's id when not given."
    )
    encoding: str = "utf-8"
    delimiter: str = ","
    decimal: Literal[".", ","] = "."
    thousands: str | None = None
    date_formats: list[str] = Field(description="strptime formats, tried in order; two that both fit are an error.")
    missing: list[str] = Field(description="Cell texts that mean 'not recorded', besides the empty cell.")
    test_names: dict[str, str] = Field(default={}, description="labs: name in the export -> PARAMCD.")
    test_units: dict[str, str] = Field(
        default={}, description="labs: PARAMCD -> unit, for exports that do not state the unit in a column."
    )
    test_uln: dict[str, float] = Field(default={}, description="labs: PARAMCD -> upper limit of normal in that unit.")
    unit_names: dict[str, str] = Field(default={}, description="Spelling in the export -> unit known to ingest.")
    tables: dict[TableName, TableMap]


# --- config/validation.yaml ------------------------------------------------------------------------------------------


EstimatorName = Literal[
    "ccw_overlap",
    "ccw_ate",
    "landmark_overlap",
    "landmark_iptw",
    "landmark_unadjusted",
    "landmark_adjusted",
    "time_varying",
    "naive",
]


class StudyPlan(Strict):
    """One plan of the simulation study that holds the estimators against the truth."""

    seed: int = Field(ge=0, description="Of the study; a cohort's own comes from it, its size and its number.")
    scenarios: list[Slug] = Field(min_length=1, description="Scenarios of simulation.yaml.")
    estimators: list[EstimatorName] = Field(min_length=1, description="Estimators to hold against the truth.")
    sizes: dict[int, int] = Field(
        min_length=1,
        description="Patients screened for a cohort, of whom about four in five are analysed -> cohorts that one job "
        "computes. How many that are changes no result.",
    )
    replicates: int = Field(ge=2, description="Cohorts of each scenario and size.")
    resamples: int = Field(ge=50, description="Bootstrap resamples in each cohort.")
    truth_screened: int = Field(ge=1000, description="Patients screened to compute the true values of a scenario.")

    @model_validator(mode="after")
    def _make_sense(self) -> StudyPlan:
        for name, values in (("scenarios", self.scenarios), ("estimators", self.estimators)):
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{name}: {', '.join(repeated)} is there twice")
        small = [screened for screened in self.sizes if screened < 50]
        if small:
            raise ValueError(f"sizes: {small[0]} patients screened are too few, at least 50")
        if min(self.sizes.values()) < 1:
            raise ValueError("sizes: a job computes at least one cohort")
        return self

    def chunks(self, screened: int) -> int:
        """Return the number of jobs for the cohorts of one scenario and size."""
        return -(-self.replicates // self.sizes[screened])

    def cohorts(self, screened: int, chunk: int) -> tuple[int, int]:
        """Return the first cohort of a job, counted from 0, and the first after its last."""
        each = self.sizes[screened]
        return chunk * each, min((chunk + 1) * each, self.replicates)


class ValidationConfig(Strict):
    """``config/validation.yaml``: how estimates are held against the truth of the simulator; no part of the paper."""

    plans: dict[Slug, StudyPlan] = Field(
        min_length=1, description="Plans of the study; the run's `validation_plan` names the one that counts."
    )
