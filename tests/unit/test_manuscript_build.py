"""A paper is built with the cohort its prose was written for, and says what could not be estimated."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml
from exhibit_cohorts import ROOT, with_arms
from manuscript_paper import CSL, ard, write_figure
from shipped_paper import expansion, write_tables

from sorafenib_rfa.estimates.parts import estimate_parts
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.manuscript import ManuscriptError, expand_manuscript
from sorafenib_rfa.manuscript.build import build_manuscript, written_for
from sorafenib_rfa.manuscript.traceability import planned_items

INDEX = ROOT / "manuscript" / "index.qmd"


def test_the_text_of_the_repository_is_for_the_synthetic_cohort():
    written_for(INDEX, "synthetic")


def test_prose_about_synthetic_patients_is_not_printed_about_others():
    with pytest.raises(ManuscriptError, match="written-for: my_cohort"):
        written_for(INDEX, "my_cohort")


def test_a_text_that_does_not_say_for_whom_it_was_written(tmp_path):
    (tmp_path / "index.qmd").write_text('---\ntitle: "{{< meta cohort_title >}}"\n---\n\nText.\n')
    with pytest.raises(ManuscriptError, match="no key written-for"):
        written_for(tmp_path / "index.qmd", "synthetic")


# --- what is known of a simulated cohort ---------------------------------------------------------------------------

TEXT = """---
title: Truth
written-for: synthetic
---

@fig-truth and @tbl-study have the truth, @tbl-plan the plan.

## Results {#sec-results}

The truth is {{< val validation.truth.contrast.hr digits=2 >}}, against
{{< val rfs.cox.contrast.hr ci >}} estimated.

![Designs and truth.](figures/truth_designs){#fig-truth fig-alt="Forest plot."}

::: {#tbl-study}
{{< table study_primary >}}

The study.
:::

::: {#tbl-plan}
{{< paperwork plan >}}

The plan.
:::
"""
UNBOUND = """free_sections: {}
allowed:
  - {pattern: "95% CI", where: ["results/*"], reason: the level of intervals}
"""
TRUTH = (("validation.truth.contrast.hr", 0.81, float("nan"), float("nan"), float("nan"), "ratio"),)


def laid_out(folder: Path) -> dict:
    """Write results, validation and a text that shows both; return the arguments of ``build_manuscript``."""
    manuscript, results, validation = folder / "manuscript", folder / "results", folder / "results/validation"
    study = with_arms()
    (manuscript / "claims.yaml").parent.mkdir()
    (manuscript / "claims.yaml").write_text("{}\n")
    (manuscript / "unbound_numbers.yaml").write_text(UNBOUND)
    declared = {
        item.key: {"status": "not done", "what": "Not done.", "reason": "This text shows no analysis."}
        for item in planned_items(study.plan)
    }
    (manuscript / "deviations.yaml").write_text(yaml.safe_dump(declared))
    (manuscript / "index.qmd").write_text(TEXT, encoding="utf-8")
    (manuscript / "numeric.csl").write_bytes(CSL.read_bytes())
    for place, rows in ((results / "synthetic", ard("synthetic")), (validation, ard("synthetic", TRUTH))):
        for name in ("ard", "tables", "figures"):
            (place / name).mkdir(parents=True)
        rows.to_parquet(place / "ard" / "ard.parquet")
    bound = '[0.81]{.val data-ard="synthetic:validation.truth.contrast.hr"}'
    table = f"| Design | Hazard ratio (95% CI) |\n|:--|--:|\n| Primary | {bound} |\n"
    (validation / "tables/study_primary.md").write_text(table)
    write_figure(validation / "figures", "truth_designs", "truth")
    drawn = "element,ard_id\nmarker,validation.truth.contrast.hr\n"
    (validation / "figures/truth_designs.csv").write_text(drawn)
    return {
        "manuscript": manuscript,
        "results": results,
        "destination": folder / "paper",
        "cohorts": {"synthetic": study.cohort.config.model_copy(update={"figures": [], "tables": []})},
        "sites": {},
        "plan": study.plan,
        "publication_date": "2026-01-01",
        "source_date_epoch": 0,
        "engine": "embedded",
        "inputs_seal": "0123456789abcdef" * 4,
        "formats": ("html",),
        "validation": validation,
    }


def test_rows_tables_and_figures_of_the_validation_reach_the_paper(tmp_path):
    given = laid_out(tmp_path)
    build_manuscript("synthetic", **given)
    html = (tmp_path / "paper/paper.html").read_text(encoding="utf-8")
    assert re.search(r'data-ard="synthetic:validation.truth.contrast.hr"[^>]*>0.81<', html)
    assert re.search(r'data-ard="synthetic:rfs.cox.contrast.hr"[^>]*>0.90 \(95% CI 0.72 to 1.12\)<', html)
    assert "Primary" in html
    picture = (given["validation"] / "figures/truth_designs.svg").read_bytes()
    assert (tmp_path / "paper/source/figures/truth_designs.svg").read_bytes() == picture
    uses = pd.read_csv(tmp_path / "paper/uses.csv", keep_default_na=False)
    assert "synthetic:study_primary" in set(uses["target"])
    assert "synthetic:validation.truth.contrast.hr" in set(uses["ard_ids"])


def test_without_the_validation_a_text_that_uses_it_fails_and_names_what_is_missing(tmp_path):
    with pytest.raises(ManuscriptError) as caught:
        build_manuscript("synthetic", **laid_out(tmp_path) | {"validation": None})
    said = str(caught.value)
    assert "validation.truth.contrast.hr" in said
    assert "study_primary" in said
    assert "manuscript/index.qmd" in said


# --- what could not be estimated -----------------------------------------------------------------------------------


WRONG = ("no events in an arm", "one arm empty", "all censored", "perfect separation")


def cited_by(notebook: Path, parts: list[str]) -> set[str]:
    """Return the ARD ids, with ``*`` for any text, that stand in the code of a notebook."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "".join(line for cell in cells if cell["cell_type"] == "code" for line in cell["source"])
    found = re.findall(rf"\b(?:{'|'.join(parts)})\.[a-z0-9_.*]+", code)
    return {f"{pattern}*" if pattern.endswith(".") else pattern for pattern in found}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_the_notebooks_cite_has_a_row_whatever_cannot_be_estimated(wrong):
    data = with_arms(wrong)
    ids = set(data.ard["ard_id"])
    parts = estimate_parts(data.cohort.config)
    notebooks = [ROOT / f"notebooks/{name}.ipynb" for name in data.cohort.config.notebooks]
    cited = set().union(*(cited_by(notebook, parts) for notebook in notebooks))
    assert len(cited) > 100
    assert [pattern for pattern in sorted(cited) if not fnmatch.filter(ids, pattern)] == []


@pytest.mark.slow
@pytest.mark.parametrize("wrong", WRONG)
def test_the_paper_of_the_repository_prints_what_is_not_estimable_as_such(tmp_path, wrong):
    """Its own text, tables and figures, with a cohort that breaks the primary analysis."""
    data = with_arms(wrong)
    shutil.copytree(ROOT / "manuscript", tmp_path / "manuscript")
    for name in data.cohort.config.figures:
        draw_figure(name, ard=data.ard, curves=data.curves, cohort=data.cohort.config, plan=data.plan)
    given = expansion(tmp_path, write_tables(tmp_path, wrong), wrong)
    text = expand_manuscript(**given | {"rules": None}).text
    rows = given["ards"]["synthetic"]
    unknown = set(rows.loc[rows["value"].isna(), "ard_id"])
    printed = re.findall(r'\[([^\]]*)\]\{\.val data-ard="synthetic:([^"]+)"\}', text)
    said = {words for words, name in printed if name in unknown}
    assert said == {"not estimable"}
    assert len([name for _, name in printed if name in unknown]) > 20
    whole = set(rows.dropna(subset=["value", "ci_low", "ci_high", "p_value"])["ard_id"])
    assert not [name for words, name in printed if "not estimable" in words and name in whole]
    assert not re.search(r"\bnan\b", text, flags=re.IGNORECASE)
