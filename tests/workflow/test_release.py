"""The target ``release`` on the real DAG: attacked from outside, and stopped by what must not leave."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pandas as pd
import pypdf
import pytest

from sorafenib_rfa.config.load import load_study
from sorafenib_rfa.config.models import Disclosure
from sorafenib_rfa.disclosure.checker import check_folder
from sorafenib_rfa.disclosure.curves import public_curves, stated_counts
from sorafenib_rfa.disclosure.exhibits import write_public_exhibits
from sorafenib_rfa.disclosure.relations import find_counts
from sorafenib_rfa.disclosure.results import public_results
from sorafenib_rfa.disclosure.suppression import HIDDEN, Audit, suppress
from sorafenib_rfa.provenance.trace import trace
from tests.checkout import COMMAND

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))
from disclosure_attacker import attack_release

pytestmark = pytest.mark.workflow
EXACT = Disclosure(rounding_base=1)
ROW_LEVEL_FIGURES = {"edish", "swimmer"}


@pytest.fixture(scope="module")
def released(tiny):
    """Return the copy of the tiny study with its release."""
    tiny.snakemake("release")
    return tiny


@pytest.fixture(scope="module")
def study(finished):
    return load_study(finished.folder)


def private(checkout):
    folder = checkout.folder / "results/synthetic"
    ard, members = (pd.read_parquet(folder / f"ard/{name}.parquet") for name in ("ard", "members"))
    return ard, members, {path.stem: pd.read_parquet(path) for path in sorted((folder / "curves").glob("*.parquet"))}


def test_the_release_holds_what_may_leave_and_nothing_else(released):
    folder = released.folder / "results/synthetic/release"
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {name for name in names if Path(name).name.startswith(".")} <= {".snakemake_timestamp"}
    names.discard(".snakemake_timestamp")
    assert {"ard.csv", "disclosure.md", "disclosure.json", "manuscript/paper.html", "tables/baseline.csv"} <= names
    assert {Path(name).suffix for name in names} == {".csv", ".md", ".json", ".html", ".pdf", ".docx", ".svg", ".png"}
    report = json.loads((folder / "disclosure.json").read_text())["parts"]["synthetic"]
    assert {"weights", "matching", "liver_peaks"} <= set(report["withheld_curves"])
    # figures of single patients say that they are withheld; all others are drawn from what is released
    shown = {path.stem for path in (folder / "figures").glob("*.csv")}
    assert set(report["withheld_figures"]) == ROW_LEVEL_FIGURES & shown
    for name in report["withheld_figures"]:
        assert "Withheld from the public release" in (folder / f"figures/{name}.csv").read_text()
    assert "Public release" in (folder / "manuscript/paper.html").read_text()
    said, out = released.run(COMMAND, "disclosure", folder, "--json", check=False)
    assert said == 0 and json.loads(out)["findings"] == []
    # and nothing is left to do
    assert released.planned("release") == []


def test_a_release_does_not_hide_the_results_that_it_coarsens_from_those_who_trace(released):
    exact = private(released)[0].set_index("ard_id").loc["flow.patients.analysed", "value"]
    chain = trace(released.folder, "flow.patients.analysed", seals=False)
    assert chain.jobs[0].rule == "collect_ard"
    assert [members.count for members in chain.members] == [exact]


def test_no_patient_of_the_cohort_is_named_in_any_file(released):
    members = pd.read_parquet(released.folder / "results/synthetic/ard/members.parquet")
    names = set(members["USUBJID"].dropna())
    folder = released.folder / "results/synthetic/release"
    for path in folder.rglob("*"):
        if path.suffix in {".csv", ".md", ".json", ".html", ".svg"}:
            assert not [name for name in names if name in path.read_text(encoding="utf-8")], path
    # the PDF prints what the page does: its text, read by another library, holds no identifier and no date but one
    text = "\n".join(page.extract_text() for page in pypdf.PdfReader(folder / "manuscript/paper.pdf").pages)
    assert not [name for name in names if name in text]
    assert "[suppressed]" in text or "<8" in text


def test_the_private_results_have_findings(released):
    for part in ("ard", "adam", "manuscript", "figures"):
        found = check_folder(released.folder / f"results/synthetic/{part}", Disclosure(), dates=["2026-11-21"])
        assert found, part
    rules = {finding.rule for finding in check_folder(released.folder / "results/synthetic/adam", Disclosure())}
    assert {"row_level", "exact_date"} <= rules


@pytest.mark.parametrize("rules", [Disclosure(), EXACT], ids=["rounded", "exact"])
def test_an_attacker_recovers_nothing_from_published_tables_but_does_without_complementary_suppression(
    rules, finished, study, tmp_path
):
    ard, members, curves = private(finished)
    config, plan = study.cohorts["synthetic"].config, study.plans["synthetic"]
    config = config.model_copy(update={"figures": ["flow"], "tables": ["baseline", "attrition", "sites"]})
    narrow = {}
    for complementary in (True, False):
        results = public_results(
            ard, members, rules, level=0.95, stated=stated_counts(curves), complementary=complementary
        )
        public = public_curves(curves, ard, results, rules)
        folder = tmp_path / str(complementary)
        write_public_exhibits(
            results.ard, public.frames, public.withheld, cohort=config, plan=plan, tables=folder / "tables",
            figures=folder / "figures", source_date_epoch=0,
        )  # fmt: skip
        attack = attack_release(folder, base=rules.rounding_base, threshold=rules.threshold)
        assert len(attack.hidden) > 20
        narrow[complementary] = attack.narrow(rules.protection_width)
    assert narrow[True] == {}
    assert narrow[False]
    if rules is EXACT:
        assert any(high - low < 0.5 for low, high in narrow[False].values())


def test_every_hidden_count_keeps_its_range_by_an_audit_from_scratch(finished):
    ard, members, _ = private(finished)
    rules = Disclosure()
    counts = find_counts(ard, members, threshold=rules.threshold)
    result = suppress(counts, rules)
    hidden = [number for number, state in enumerate(result.states) if state in HIDDEN]
    assert len(hidden) > 100
    assert Audit(counts, rules).unsafe(result.states) == []
    # and it is complementary suppression that does it
    assert Audit(counts, rules).unsafe(suppress(counts, rules, complementary=False).states)


def test_a_date_in_the_text_stops_the_target_and_is_named(released):
    text = released.folder / "manuscript/_discussion.qmd"
    before = text.read_text(encoding="utf-8")
    kept = released.folder / "kept"
    shutil.copytree(released.folder / "results/synthetic/release", kept)
    try:
        text.write_text(before + "\nThe last patient was ablated on 3 March 2014.\n", encoding="utf-8")
        code, said = released.snakemake("release", check=False)
        assert code != 0
        assert "manuscript/paper.html" in said and "exact_date" in said and "3 March 2014" in said
        assert not (released.folder / "results/synthetic/release").exists()
    finally:
        text.write_text(before, encoding="utf-8")
    released.snakemake("release")
    again = released.folder / "results/synthetic/release"
    names = sorted(path.relative_to(kept) for path in kept.rglob("*") if path.is_file() and path.name[0] != ".")
    assert names == sorted(
        path.relative_to(again) for path in again.rglob("*") if path.is_file() and path.name[0] != "."
    )
    assert [name for name in names if (kept / name).read_bytes() != (again / name).read_bytes()] == []  # same bytes
