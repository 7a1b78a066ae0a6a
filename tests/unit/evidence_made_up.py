"""Made-up tables of published evidence, as small as the reader allows, for tests of what is made of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sorafenib_rfa.config.load import load_cohort, load_plan
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.evidence.schema import STATUS_FIELDS, TABLES, key_of
from sorafenib_rfa.evidence.tables import Evidence, read_evidence

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "data/evidence"


@dataclass(frozen=True)
class Effect:
    """One effect, of a study of its own unless `study` is given again."""

    study: str
    hr: float
    low: float
    high: float
    year: int = 2010
    setting: str = "adjuvant"
    design: str = "rct_double_blind"
    endpoint: str = "OS"
    look: str = "primary"
    status: str = "seen"
    role: str = "synthesis"

    @property
    def name(self) -> str:
        """Its effect_id."""
        return f"{self.study}_{self.endpoint.lower()}_{self.look}"


def the_plan(*, only: Sequence[str] = ()) -> Plan:
    """Return the plan of the shipped evidence, or of some of its syntheses, which are quicker to make."""
    plan = load_plan(ROOT, "evidence", load_cohort(ROOT, "evidence").config)
    chosen = {name: plan.evidence.syntheses[name] for name in only or plan.evidence.syntheses}
    return plan.model_copy(update={"evidence": plan.evidence.model_copy(update={"syntheses": chosen})})


def made_up(folder: Path, effects: Iterable[Effect], *, order: Sequence[int] | None = None) -> Evidence:
    """Write and read tables with these effects; rows of studies and effects stand in `order`, if given."""
    effects = list(effects)
    effects = effects if order is None else [effects[i] for i in order]
    studies = {}
    for effect in effects:
        studies[effect.study] = {
            "study_id": effect.study,
            "label": effect.study.upper(),
            "year": str(effect.year),
            "setting": effect.setting,
            "design": effect.design,
            "population": "made up",
            "treated": "drug",
            "comparator": "placebo",
            "source_id": "S01",
            "role": effect.role,
            "why_not_pooled": "" if effect.role == "synthesis" else "for context",
        }
    tables = {
        "sources": [
            {
                "source_id": "S01",
                "citation": "made up",
                "citation_key": "madeup",
                "read_extent": "full_text",
                "read_at": "here",
                "identified_by": "update",
            }
        ],
        "studies": list(studies.values()),
        "effects": [
            {
                "effect_id": effect.name,
                "study_id": effect.study,
                "look": effect.look,
                "endpoint": effect.endpoint,
                "measure": "HR",
                "estimate": f"{effect.hr:.15f}",
                "ci_low": f"{effect.low:.15f}",
                "ci_high": f"{effect.high:.15f}",
                "ci_level": "95",
                "source_id": "S01",
            }
            for effect in effects
        ],
    }
    known = {effect.name: effect.status for effect in effects}
    tables["field_status"] = [
        {
            "table": table,
            "key": key_of(table, row),
            "field": field,
            "status": known.get(key_of(table, row), "seen"),
            "confidence": "high" if known.get(key_of(table, row)) == "recalled" else "",
            "where": "here",
        }
        for table in ("studies", "effects")
        for row in tables[table]
        for field in STATUS_FIELDS[table]
        if row.get(field)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in TABLES.items():
        header = [column.name for column in columns]
        with open(folder / f"{name}.csv", "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(tables.get(name, []))
    return read_evidence(folder, shown_folder="data/evidence")
