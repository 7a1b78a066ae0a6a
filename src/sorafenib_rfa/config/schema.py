"""JSON schemas and the key tables of ``config/README.md``, both made from the models: nothing is described twice.

``python -m sorafenib_rfa.config.schema`` writes them; ``--check`` says whether they are up to date.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

from pydantic import BaseModel

from sorafenib_rfa.config.models import CohortConfig, Plan, RunConfig, SiteConfig, ValidationConfig
from sorafenib_rfa.vocabulary import ENDPOINTS, FIGURES, LAB_TESTS, TABLES

SCHEMAS: dict[str, tuple[type[BaseModel], str]] = {
    "config": (RunConfig, "config/config.yaml"),
    "plan": (Plan, "config/plan.yaml"),
    "cohort": (CohortConfig, "config/cohorts/<cohort>/cohort.yaml"),
    "site": (SiteConfig, "config/cohorts/<cohort>/sites/<site>.yaml"),
    "validation": (ValidationConfig, "config/validation.yaml"),
}
BEGIN, END = "<!-- keys: made from the models by `make schemas`, do not edit -->", "<!-- end of keys -->"


def json_schema(name: str) -> str:
    """Return the JSON schema of one kind of file, for editors and validators."""
    model, _ = SCHEMAS[name]
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _type_name(annotation: dict, definitions: dict) -> str:
    """Return a schema fragment's type in words."""
    if "$ref" in annotation:
        return f"`{annotation['$ref'].rsplit('/', 1)[-1]}`"
    if "enum" in annotation:
        return " / ".join(str(item) for item in annotation["enum"])
    if "anyOf" in annotation:
        kinds = [_type_name(item, definitions) for item in annotation["anyOf"] if item.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if annotation.get("type") == "array":
        items = annotation.get("items") or {}
        return f"list of {_type_name(items, definitions)}" if items else "list"
    if annotation.get("type") == "object" and isinstance(annotation.get("additionalProperties"), dict):
        return f"map to {_type_name(annotation['additionalProperties'], definitions)}"
    kind = annotation.get("format") or annotation.get("type") or "any"
    return {"string": "text", "boolean": "true / false", "integer": "whole number", "object": "map"}.get(kind, kind)


def key_tables() -> str:
    """Return the Markdown tables of all keys of all files."""
    lines: list[str] = []
    for model, path in SCHEMAS.values():
        schema = model.model_json_schema()
        definitions = schema.get("$defs", {})
        lines += [f"### `{path}`", "", schema["description"].split("``: ", 1)[-1].replace("``", "`"), ""]
        for title, part in [("", schema), *definitions.items()]:
            if "properties" not in part:
                continue
            if title:
                lines += [f"`{title}`: " + part.get("description", "").split("\n")[0].replace("``", "`"), ""]
            lines += ["| key | value | required | meaning |", "|---|---|---|---|"]
            for key, annotation in part["properties"].items():
                needed = "yes" if key in part.get("required", []) else f"no: {json.dumps(annotation.get('default'))}"
                meaning = annotation.get("description", "")
                lines.append(f"| `{key}` | {_type_name(annotation, definitions)} | {needed} | {meaning} |")
            lines.append("")
    return "\n".join(lines)


def name_tables() -> str:
    """Return Markdown lists of the names that the files may use: eligibility rules, exhibits, units."""
    from sorafenib_rfa.clean.eligibility import ELIGIBILITY_RULES
    from sorafenib_rfa.ingest.tables import TABLES as RAW
    from sorafenib_rfa.ingest.units import LAB_UNITS, QUANTITIES

    lines = ["### Names to choose from", "", "| rule of `eligibility` | params | keeps |", "|---|---|---|"]
    for name, rule in ELIGIBILITY_RULES.items():
        params = ", ".join(f"`{each}`" for each in inspect.signature(rule).parameters if each != "c")
        meaning = (inspect.getdoc(rule) or "").split("\n")[0].removeprefix("Keep ").rstrip(".")
        lines.append(f"| `{name}` | {params or 'none'} | {meaning} |")
    lines += ["", "| laboratory test | canonical unit | units that are read |", "|---|---|---|"]
    for test, (label, unit) in LAB_TESTS.items():
        lines.append(f"| `{test}` {label} | {unit} | {', '.join(LAB_UNITS[test])} |")
    lines += ["", "Spelling (case, `µ`, powers, spaces) makes no difference; add others under `unit_names`.", ""]
    for quantity, units in QUANTITIES.items():
        columns = sorted({n for table in RAW.values() for n, column in table.items() if column.quantity == quantity})
        lines.append(f"- `unit` of {', '.join(f'`{n}`' for n in columns)}: {', '.join(units)}")
    lines += ["", f"Figures: {', '.join(f'`{name}`' for name in FIGURES)}.", ""]
    lines += [f"Tables: {', '.join(f'`{name}`' for name in TABLES)}.", ""]
    lines += [f"Endpoints: {', '.join(f'`{code}` ({label})' for code, label in ENDPOINTS.items())}.", ""]
    return "\n".join(lines)


def readme(text: str) -> str:
    """Return the text of ``config/README.md`` with its key tables and lists of names renewed."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{key_tables()}\n{name_tables()}\n{END}{rest.split(END)[1]}"


def main(root: Path, check: bool) -> int:
    """Write the generated files, or, with `check`, return 1 if any is out of date."""
    wanted = {root / "config" / "schemas" / f"{name}.schema.json": json_schema(name) for name in SCHEMAS}
    path = root / "config" / "README.md"
    wanted[path] = readme(path.read_text(encoding="utf-8"))
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text(encoding="utf-8") != text]
    if not check:
        for p in stale:
            p.parent.mkdir(parents=True, exist_ok=True)
            p.write_text(wanted[p], encoding="utf-8")
        return 0
    for p in stale:
        print(f"{p.relative_to(root)} is out of date: run make schemas")
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main(Path.cwd(), "--check" in sys.argv[1:]))
