"""The effects table: benefits and harms of both strategies side by side, and how life is parted."""

from __future__ import annotations

from sorafenib_rfa.arms import arms_of
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.estimates.common import horizon
from sorafenib_rfa.exhibits.draft import Cell, Draft, Source

_KINDS = {"benefit": "Benefits sought", "harm": "Harms"}
_STATES = {
    "tox": "With an adverse event of grade 3 or above open (TOX)",
    "twist": "Without one (TWiST)",
    "recurrence_free": "Recurrence-free",
    "rel": "After recurrence (REL)",
    "alive": "Alive",
}


def benefit_risk_table(source: Source, cohort: CohortConfig, plan: Plan) -> Draft:
    """Return the effects that the plan declares, then months in each state of partitioned survival.

    Of each effect the risks under both strategies, their difference and the number needed at the plan's horizons, and
    the mean months lost; states and Q-TWiST in months; sensitivity analyses at the last horizon.
    """
    arms = arms_of(cohort)
    slugs = [arms.slug(label) for label in arms.labels]
    header: list[Cell] = [
        ["Outcome"],
        *([f"{label} (95% CI)"] for label in arms.labels),
        ["Difference (95% CI)"],
        ["Number needed (95% CI)"],
    ]
    draft = Draft(header)
    settings = plan.benefit_risk
    tau = plan.rmst_horizon_months
    for kind, title in _KINDS.items():
        effects = [effect for effect in (settings.effects if settings else []) if effect.kind == kind]
        if effects:
            draft.head(title)
        for effect in effects:
            draft.add(effect.label)
            for month in settings.horizons_months if settings else []:
                at = horizon(month)
                draft.add(
                    f"At {month:g} months",
                    *(source.interval("benefit_risk", effect.id, slug, at, "risk") for slug in slugs),
                    source.interval("benefit_risk", effect.id, "contrast", at, "risk_difference"),
                    source.interval("benefit_risk", effect.id, "contrast", at, "number_needed"),
                    level=1,
                )
            draft.add(
                f"Mean months after the event, to month {tau:g}",
                *(source.interval("benefit_risk", effect.id, slug, horizon(tau), "months_lost") for slug in slugs),
                source.interval("benefit_risk", effect.id, "contrast", horizon(tau), "months_lost_difference"),
                level=1,
            )
    draft.head(f"Mean months up to month {tau:g}")
    for level, label in _STATES.items():
        draft.add(
            label,
            *(source.interval("benefit_risk", "partition", slug, horizon(tau), level, "months") for slug in slugs),
            source.interval("benefit_risk", "partition", "contrast", horizon(tau), level, "difference"),
            level=0 if level in ("recurrence_free", "alive") else 1,
        )
    draft.add(
        "Quality-adjusted (Q-TWiST)",
        *(source.interval("benefit_risk", "qtwist", slug, horizon(tau), "months") for slug in slugs),
        source.interval("benefit_risk", "qtwist", "contrast", horizon(tau), "difference"),
    )
    _add_sensitivity(draft, source, plan, slugs)
    worth, relapse = (
        source.value("benefit_risk", "qtwist", state, "utility", digits=1) for state in ("toxicity", "relapse")
    )
    draft.notes += [
        "Patients, strategies and weights of the emulated trial; all times run from the ablation. Differences are "
        f"{arms.treated} minus {arms.control}, of risks in percentage points. NNTB and NNTH: number needed to treat "
        "for one patient fewer, or one more, to have the event by then; an interval through \u221e is compatible with "
        "both.",
        *_first_doses(source, plan, slugs[1], arms.control),
        ["In Q-TWiST a month with toxicity counts ", *worth, " and a month after recurrence ", *relapse,
         " of a month without either, by assumption."],
    ]  # fmt: skip
    return draft


def _add_sensitivity(draft: Draft, source: Source, plan: Plan, slugs: list[str]) -> None:
    """Add the sensitivity analyses: risks at the last horizon, months with toxicity and Q-TWiST."""
    settings = plan.benefit_risk
    if settings is None:
        return
    last = max(settings.horizons_months)
    treated, control = slugs
    at = horizon(last)
    harms = [effect for effect in settings.effects if effect.kind == "harm"]
    for suffix, title, own in (
        ("no_late_start", f"Sensitivity: not starting followed up to a late first dose only, at {last:g} months", None),
        ("recent_score", f"Sensitivity: deaths long after the last score not competing, at {last:g} months", treated),
    ):
        found = [effect for effect in harms if source.has("benefit_risk", f"{effect.id}_{suffix}", control, at, "risk")]
        if found:
            draft.head(title)
        for effect in found:
            name = f"{effect.id}_{suffix}"
            draft.add(
                effect.label,
                source.interval("benefit_risk", name if own else effect.id, treated, at, "risk"),
                source.interval("benefit_risk", name, control, at, "risk"),
                source.interval("benefit_risk", name, "contrast", at, "risk_difference"),
            )
    month = horizon(plan.rmst_horizon_months)
    draft.head(f"Sensitivity: moderate events as toxicity, too; mean months up to month {plan.rmst_horizon_months:g}")
    for level, label in (("tox", "With an event open (TOX)"), ("qtwist", "Quality-adjusted (Q-TWiST)")):
        draft.add(
            label,
            *(source.interval("benefit_risk", "partition_moderate", slug, month, level, "months") for slug in slugs),
            source.interval("benefit_risk", "partition_moderate", "contrast", month, level, "difference"),
        )


def _first_doses(source: Source, plan: Plan, control: str, label: str) -> list[Cell]:
    """Return a note about the harms of those who did not start: how many came after a first dose."""
    harms = [effect for effect in (plan.benefit_risk.effects if plan.benefit_risk else []) if effect.kind == "harm"]
    if not harms:
        return []
    note: Cell = [
        "Harms count after a later first dose, too. Of patients who stay under "
        f"{label} and had the harm, it came after a first dose in: "
    ]
    for place, effect in enumerate(harms):
        after, had = (
            source.value("benefit_risk", effect.id, control, f"non_starters_harmed{end}") for end in ("_after_dose", "")
        )
        note = [*note, "; " if place else "", f"{effect.label}, ", *after, " of ", *had]
    return [[*note, "."]]
