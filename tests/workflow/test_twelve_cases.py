"""Twelve changes to a finished tree of which Snakemake alone judges most wrongly; each case says what must happen.

Snakemake 9.27.1 by itself calls cases 1, 2, 4, 5, 7, 9 and 12 "nothing to be done", carries the tampered file of case 3
on, reruns in cases 8 and 10 what needs no rerun, and shows code that never ran in case 11.
"""

import ast
import json
import os
import shutil

import pytest

from tests.checkout import COMMAND, ROOT, Checkout, edit_yaml

from .test_dag import DOWNSTREAM_OF_CLEAN

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


def refused(tiny, name):
    """Return what is said when nothing may be built; the file and the record it belies are named, nothing has run."""
    before = (tiny.folder / "results/synthetic/manuscript/paper.html").stat().st_mtime_ns
    code, said = tiny.snakemake("paper", check=False)
    assert code != 0
    assert f"{name}: it was changed after the job that made it had finished" in said
    assert "Traceback" not in said
    assert (tiny.folder / "results/synthetic/manuscript/paper.html").stat().st_mtime_ns == before
    return said


def one_more_line(content):
    return content + content.splitlines(keepends=True)[-1]


def test_1_an_intermediate_edited_with_its_time_kept_is_refused(tiny, change):
    name = "results/synthetic/adam/adtte.parquet"
    change(name, lambda content: content[:200] + bytes([content[200] ^ 1]) + content[201:], old_time=True)
    said = refused(tiny, name)
    assert "results/synthetic/records/build_adam/synthetic.json" in said


def test_2_a_final_output_edited_by_hand_is_refused(tiny, change):
    name = "results/synthetic/manuscript/paper.html"
    change(name, lambda content: content.replace(b"Recurrence", b"recurrence", 1))
    refused(tiny, name)


def test_3_an_edited_intermediate_is_not_carried_on_and_is_made_again_once_deleted(tiny, change):
    name = "results/synthetic/clean/attrition.csv"
    change(name, one_more_line)
    refused(tiny, name)
    (tiny.folder / name).rename(tiny.folder / "aside")
    try:
        planned = tiny.planned("paper", "data")
    finally:
        (tiny.folder / "aside").rename(tiny.folder / name)
    assert "clean_cohort" in planned


def test_4_a_changed_helper_module_reruns_what_imports_it_and_nothing_else(tiny, change):
    change("src/sorafenib_rfa/stats/recurrent_events.py", lambda content: content + b"\nADDED = 1\n")
    planned = tiny.planned("paper")
    assert [job for job in planned if job.startswith("estimate_")] == ["estimate_repeat_rfa", "estimate_safety"]
    assert not {"ingest_site", "clean_cohort", "build_adam"} & {job.split()[0] for job in planned}


def test_5_no_code_reads_configuration_past_the_tracked_parameters(tiny):
    for path in sorted((ROOT / "workflow/scripts").glob("*.py")):
        used = {
            node.attr
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "snakemake"
        }
        assert used <= {"input", "output", "params", "wildcards", "log"}, path.name
    # and what opens a configuration file by itself does not get past the guard of the job
    script = tiny.folder / "workflow/scripts/collect_ard.py"
    kept = script.read_bytes()
    try:
        script.write_bytes(kept + b'    open("config/plan.yaml").close()\n')
        code, said = tiny.snakemake("results/hcc_resection/ard/ard.parquet", check=False)
    finally:
        script.write_bytes(kept)
    assert code != 0
    assert "the rule does not declare config/plan.yaml" in said + "".join(
        path.read_text() for path in (tiny.folder / "logs/hcc_resection").rglob("collect_ard*.log")
    )
    failed = list((tiny.folder / "results/hcc_resection/records/failed/collect_ard").glob("*.json"))
    assert [json.loads(path.read_text())["error"]["type"] for path in failed] == ["UndeclaredReadError"]
    tiny.snakemake("results/hcc_resection/ard/ard.parquet")  # whole again


def test_6_a_changed_parameter_reruns_what_is_given_it(tiny, change):
    path = tiny.folder / "config/cohorts/synthetic/sites/jp01.yaml"
    change("config/cohorts/synthetic/sites/jp01.yaml", lambda content: content)
    edit_yaml(path, lambda content: content.update(thousands="'"))
    assert tiny.planned("paper") == sorted([*DOWNSTREAM_OF_CLEAN, "ingest_site jp01"])


def test_7_an_edited_notebook_runs_only_that_notebook(tiny, change):
    def add_cell(content):
        notebook = json.loads(content)
        notebook["cells"].append({"cell_type": "markdown", "id": "added", "metadata": {}, "source": ["More."]})
        return json.dumps(notebook).encode()

    change("notebooks/safety.ipynb", add_cell, old_time=True)
    assert tiny.planned("paper") == ["paper", "run_notebook safety"]


def test_8_touching_code_data_and_text_runs_nothing(tiny, change):
    for name in (
        "workflow/scripts/clean_cohort.py",
        "src/sorafenib_rfa/clinical/liver.py",
        "notebooks/efficacy.ipynb",
        "data/raw/synthetic/fr01/patients.csv",
        "data/public/hcc_resection/hcc_resection.csv",
        "manuscript/_results.qmd",
    ):
        change(name, lambda content: content)
    assert tiny.planned("paper", "data", "analysis") == []


@pytest.mark.parametrize(
    ("name", "edit", "first"),
    [
        ("workflow/scripts/estimate_repeat_rfa.py", lambda c: c + b"\nADDED = 1\n", "estimate_repeat_rfa"),
        ("data/public/hcc_resection/hcc_resection.csv", one_more_line, "ingest_site hcc_resection, single_centre"),
        ("manuscript/_discussion.qmd", lambda c: c + b"\nOne more sentence.\n", "render_manuscript"),
        ("manuscript/checklists/strobe.yaml", lambda c: c + b"\n# a remark\n", "render_manuscript"),
        ("validation/agreement.csv", one_more_line, "estimate_agreement"),
    ],
    ids=["script", "raw data", "text", "checklist", "stored result"],
)
def test_9_a_source_put_back_with_an_old_time_reruns_what_rests_on_it(tiny, change, name, edit, first):
    change(name, edit, old_time=True)
    planned = tiny.planned("paper", "analysis")
    assert first.replace(",", "") in [job.replace(",", "") for job in planned]
    assert "simulate_raw" not in planned and "ingest_site jp01" not in planned


def test_10_a_clone_with_its_results_is_adopted_and_not_rerun(finished, tmp_path):
    clone = Checkout(tmp_path / "clone")
    shutil.copytree(
        finished.folder, clone.folder, ignore=shutil.ignore_patterns(".snakemake"), copy_function=shutil.copy
    )
    for path in sorted(clone.folder.rglob("*.py"))[:50]:
        os.utime(path)  # a clone's files are younger than its results
    assert len(clone.planned("paper", "data", "analysis")) > 20  # so says Snakemake alone
    clone.run(COMMAND, "adopt")
    assert clone.planned("paper", "data", "analysis") == []
    # what is adopted is watched like what was run
    path = clone.folder / "src/sorafenib_rfa/stats/recurrent_events.py"
    path.write_bytes(path.read_bytes() + b"\nADDED = 1\n")
    assert "estimate_repeat_rfa" in clone.planned("paper")


def test_11_the_code_shown_is_the_code_that_ran(tiny, change):
    name = "src/sorafenib_rfa/stats/recurrent_events.py"
    change(name, lambda content: content + b"\nNEVER_RAN = 1\n", old_time=True)
    ran = tiny.run(COMMAND, "trace", "results/synthetic/ard/parts/repeat_rfa.parquet", "--code", "--file", name)[1]
    executed, _, difference = ran.partition("+NEVER_RAN = 1")
    assert difference, "the change since is shown as a difference"
    assert "NEVER_RAN" not in executed


def test_12_an_upgraded_package_reruns_what_rests_on_it(tiny, tmp_path):
    upgrade = tmp_path / "elsewhere/seaborn-99.0.dist-info"
    upgrade.mkdir(parents=True)
    (upgrade / "METADATA").write_text("Metadata-Version: 2.1\nName: seaborn\nVersion: 99.0\n")
    planned = tiny.planned("paper", environment={"PYTHONPATH": str(upgrade.parent)})
    rules = {job.split()[0] for job in planned}
    assert "draw_figures_of_synthetic" in rules
    without = {"simulate_raw", "ingest_site", "clean_cohort", "build_adam", "collect_ard", "make_tables_of_synthetic"}
    assert not rules & without
