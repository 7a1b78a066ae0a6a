"""The data dictionary: what every ADaM variable means, from the specification that also checks the data."""

from __future__ import annotations

import pandas as pd

from sorafenib_rfa.adam.schemas import dataset
from sorafenib_rfa.config.models import CohortConfig
from sorafenib_rfa.config.paths import adam_datasets


def data_dictionary(cohort: CohortConfig) -> pd.DataFrame:
    """Return the data dictionary of a cohort: one row a variable of each dataset the cohort has.

    Returns
    -------
    DataFrame
        Columns dataset, dataset_label, position, variable, label, type, unit, codelist, required (Y/N),
        derivation, source; all strings but position (Int64). A code list is written ``a | b | c``; NA means
        none.
    """
    rows = [
        {
            "dataset": name.upper(),
            "dataset_label": spec.label,
            "position": position,
            "variable": variable.name,
            "label": variable.label,
            "type": variable.kind,
            "unit": variable.unit,
            "codelist": " | ".join(str(code) for code in variable.codelist) if variable.codelist else None,
            "required": "Y" if variable.required else "N",
            "derivation": variable.derivation,
            "source": variable.source,
        }
        for name in adam_datasets(cohort)
        for spec in [dataset(name, cohort)]
        for position, variable in enumerate(spec.variables, start=1)
    ]
    frame = pd.DataFrame(rows)
    return frame.astype({column: "Int64" if column == "position" else "string" for column in frame})


def dictionary_markdown(cohort: CohortConfig) -> str:
    """Return the data dictionary as Markdown: a heading and a table for each dataset."""
    frame = data_dictionary(cohort)
    lines = [f"# Data dictionary: {cohort.title}", ""]
    if cohort.synthetic:
        lines += ["Every record of this cohort is synthetic data.", ""]
    lines += [f"Time zero is the {cohort.index_event}. A missing value is an empty cell.", ""]
    for (name, label), rows in frame.groupby(["dataset", "dataset_label"], sort=False):
        lines += [f"## {name}", "", f"{label}.", ""]
        lines += ["| Variable | Label | Type | Unit or values | Derivation | Source |", "|---|---|---|---|---|---|"]
        for row in rows.itertuples():
            values = row.codelist.replace(" | ", "; ") if pd.notna(row.codelist) else row.unit
            shown = "" if pd.isna(values) else values
            cells = (row.variable, row.label, row.type, shown, row.derivation, row.source)
            lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)
