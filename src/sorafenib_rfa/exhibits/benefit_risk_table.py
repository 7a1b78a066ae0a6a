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
    the mean months lost; states and Q-TWiST in months.
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
    worth, relapse = (
        source.value("benefit_risk", "qtwist", state, "utility", digits=1) for state in ("toxicity", "relapse")
    )
    draft.notes += [
        "Patients, strategies and weights of the emulated trial; all times run from the ablation. Differences are "
        f"{arms.treated} minus {arms.control}, of risks in percentage points. NNTB and NNTH: number needed to treat "
        "for one patient fewer, or one more, to have the event by then; an interval through \u221e is compatible with "
        "both.",
        ["In Q-TWiST a month with toxicity counts ", *worth, " and a month after recurrence ", *relapse,
         " of a month without either, by assumption."],
    ]  # fmt: skip
    return draft
