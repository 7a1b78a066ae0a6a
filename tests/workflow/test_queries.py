"""trace, why, impact and status on a finished tiny paper, as a person calls them."""

import csv
import itertools
import json
import os
import re

import pandas as pd
import pytest

from sorafenib_rfa.provenance.impact import impact
from sorafenib_rfa.provenance.names import Names
from sorafenib_rfa.provenance.plan import read_plan
from sorafenib_rfa.provenance.status import status
from sorafenib_rfa.provenance.trace import all_rows, trace
from sorafenib_rfa.provenance.tree import QueryError, Tree
from sorafenib_rfa.provenance.why import why
from tests.checkout import COMMAND

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def tree(finished):
    return Tree(finished.folder)


def replaced(before, after):
    """Return an edit that replaces text; a text that is not there is an error of the test."""

    def edit(content):
        assert before.encode() in content
        return content.replace(before.encode(), after.encode(), 1)

    return edit


def titles(jobs):
    return {job.title for job in jobs}


# --- trace -----------------------------------------------------------------------------------------------------------


def identifiers(tree):
    """Return every identifier by which the papers bind something, from uses.csv and from the HTML itself."""
    found = set()
    for use in tree.uses:
        found.update(use.ard_ids)
        if use.kind in ("claim", "meta", "table"):
            found.add(f"{use.kind}:{use.target}")
        elif use.kind == "figure":
            found.add("figure:" + ":".join(tree.figure_of_use(use)))
    for cohort in tree.papers:
        for kind, value in re.findall(r'data-(ard|claim|meta|table|figure)="([^"]+)"', tree.paper_text(cohort)):
            found.add(value if kind == "ard" else f"{kind}:{value}")
    return found


def test_everything_that_the_paper_binds_resolves_down_to_what_no_job_made(tree, finished):
    kinds = {}
    for identifier in sorted(identifiers(tree)):
        chain = trace(finished.folder, identifier, tree=tree, seals=False)
        kinds[chain.kind] = kinds.get(chain.kind, 0) + 1
        assert chain.used, identifier
        assert chain.jobs, identifier
        assert chain.kind == "meta" or chain.sources, identifier
        if chain.kind == "number":
            row = chain.rows[0]
            assert any(job.record == f"results/{row['cohort']}/{row['record']}" for job in chain.jobs), identifier
        if chain.kind == "meta":
            assert chain.fact.value, identifier
            assert (finished.folder / chain.fact.file).exists(), identifier
    with (finished.folder / "results/synthetic/manuscript/uses.csv").open(encoding="utf-8", newline="") as stream:
        csv.field_size_limit(1 << 24)
        bound = {each for row in csv.DictReader(stream) for each in row["ard_ids"].split(";") if each}
    assert kinds["number"] >= len(bound) > 1000
    assert kinds["claim"] > 30
    assert kinds["figure"] > 15
    assert kinds["table"] > 8
    assert kinds["meta"] > 5


def test_the_value_traced_is_the_one_in_the_csv_a_person_opens(tree, finished):
    ard = pd.read_csv(finished.folder / "results/synthetic/ard/ard.csv")
    for ard_id, value in ard.sample(25, random_state=7)[["ard_id", "value"]].itertuples(index=False):
        found = trace(finished.folder, f"synthetic:{ard_id}", tree=tree, seals=False).rows[0]["value"]
        assert (found is None and pd.isna(value)) or found == pytest.approx(value, rel=1e-12)


def test_a_number_is_told_as_the_paper_prints_it_and_where(tree, finished):
    chain = trace(finished.folder, "flow.patients.analysed", tree=tree)
    assert chain.id == "synthetic:flow.patients.analysed"
    count = int(chain.rows[0]["value"])
    assert str(count) in chain.printed
    assert chain.synthetic
    assert chain.breaches == []
    use = next(use for use in chain.used if use.kind == "val")
    line = (finished.folder / use.file).read_text(encoding="utf-8").splitlines()[use.line - 1]
    assert "flow.patients.analysed" in line


def test_a_count_names_its_patients_and_every_row_of_theirs(tree, finished):
    chain = trace(finished.folder, "flow.patients.analysed", tree=tree, seals=False)
    members = chain.members[0]
    adsl = pd.read_parquet(finished.folder / "results/synthetic/adam/adsl.parquet")
    assert members.count == members.patients == len(adsl) == chain.rows[0]["value"]
    rows = all_rows(tree, members.ard_id)
    assert {row["patient"] for row in rows} == set(adsl["USUBJID"])
    assert sum(members.raw_files.values()) == members.raw_rows == len(rows)
    assert members.first_rows == rows[: len(members.first_rows)]
    raw = {entry["path"] for entry in chain.raw_files}
    assert set(members.raw_files) <= raw
    # what a person would do: open the file and look at the row
    row = next(row for row in rows if row["file"].endswith("us01/demographics.csv"))
    text = (finished.folder / row["file"]).read_text(encoding="utf-8").splitlines()[row["row"] - 1]
    assert row["patient"].rsplit("-", 1)[1] in text


def test_an_estimate_names_the_counts_it_rests_on(tree, finished):
    chain = trace(finished.folder, "efficacy.rfs_cox_unadjusted.contrast.hr", tree=tree, seals=False)
    ard = tree.ard("synthetic")
    by_role = {members.role: members for members in chain.members}
    assert by_role["n"].count == ard["efficacy.rfs_cox_unadjusted.contrast.n"]["value"]
    assert by_role["events"].count == ard["efficacy.rfs_cox_unadjusted.contrast.events"]["value"]
    assert by_role["events"].count < by_role["n"].count


def test_a_chain_holds_the_jobs_of_its_number_and_no_other_estimate(tree, finished):
    chain = trace(finished.folder, "efficacy.rfs_cox_unadjusted.contrast.hr", tree=tree, seals=False)
    rules = [job.rule for job in chain.jobs]
    assert rules[:2] == ["collect_ard", "estimate_efficacy"]
    assert rules[-1] == "simulate_raw"
    assert "estimate_safety" not in rules
    place = {job.record: n for n, job in enumerate(chain.jobs)}
    for job in chain.jobs:  # the last first: whoever reads stands before whoever made
        for entry in job.inputs:
            if entry["made_by"] and entry["made_by"]["record"] in place:
                assert place[entry["made_by"]["record"]] > place[job.record]
    assert [entry["path"] for entry in chain.sources] == ["config/cohorts/synthetic/simulation.yaml"]


def test_a_claim_tells_what_it_saw_and_which_wording_was_said(tree, finished):
    for claim in sorted({use.target for use in tree.uses if use.kind == "claim"}):
        chain = trace(finished.folder, f"claim:{claim}", tree=tree, seals=False)
        said = [branch for branch in chain.claim.branches if branch.said]
        assert len(said) == 1, claim
        assert chain.claim.wording in chain.printed
        line = (finished.folder / said[0].file).read_text(encoding="utf-8").splitlines()[said[0].line - 1]
        assert line.strip().startswith(("- if:", "- otherwise:", "- {if:", "- {otherwise:")), claim
        for value in chain.claim.values.values():
            row = tree.ard(value["id"].split(":")[0])[value["id"].split(":")[1]]
            assert (value["value"], value["ci_low"]) == (row["value"], row["ci_low"])


def test_a_path_is_traced_whoever_made_or_read_it(tree, finished):
    made = trace(finished.folder, "results/synthetic/adam/adsl.parquet", tree=tree, seals=False)
    assert (made.kind, made.jobs[0].rule) == ("result", "build_adam")
    inside = trace(finished.folder, "results/synthetic/manuscript/source/index.qmd", tree=tree, seals=False)
    assert inside.jobs[0].rule == "render_manuscript"
    record = trace(finished.folder, "results/synthetic/records/build_adam/synthetic.json", tree=tree, seals=False)
    assert record.jobs[0] == made.jobs[0]
    real = next(e["path"] for e in trace(finished.folder, "hcc_resection:flow.patients.analysed", tree=tree).raw_files)
    source = trace(finished.folder, real, tree=tree, seals=False)
    assert (source.kind, source.synthetic) == ("source", False)
    assert source.read_by == ["results/hcc_resection/records/ingest_site/hcc_resection.single_centre.json"]
    code = trace(finished.folder, "src/sorafenib_rfa/stats/cox.py", tree=tree, seals=False)
    assert code.kind == "code"
    assert "results/synthetic/records/estimate_efficacy/synthetic.json" in code.read_by


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("flow.patients.analyzed", "flow.patients.analysed"),
        ("claim:abstract_rsf", "claim:abstract_rfs"),
        ("table:basline", "table:baseline"),
        ("figure:km_ccw_rf", "figure:km_ccw_rfs"),
        ("meta:landmark_days", "meta:landmark_day"),
        ("km_ccw_rfs", "figure:km_ccw_rfs"),
        ("hcc_resection:flow.patients.analyzed", "hcc_resection:flow.patients.analysed"),
        ("results/synthetic/adam/adls.parquet", "results/synthetic/adam/adsl.parquet"),
    ],
)
def test_a_wrong_id_gives_near_guesses(tree, finished, wrong, right):
    with pytest.raises(QueryError) as raised:
        trace(finished.folder, wrong, tree=tree)
    assert right in raised.value.problems[0].hint


def test_the_code_that_ran_is_shown_with_what_changed_since(tiny, change):
    path = "src/sorafenib_rfa/estimates/flow.py"
    before = (tiny.folder / path).read_text(encoding="utf-8")
    change(path, lambda content: content + b"\nLATER = 1\n")
    code, said = tiny.run(COMMAND, "trace", "flow.patients.analysed", "--code", "--file", path)
    assert code == 0
    assert before.splitlines()[0] in said
    assert "\n+LATER = 1" in said
    assert "the tree has moved on" in said
    _, told = tiny.run(COMMAND, "trace", "flow.patients.analysed", "--json")
    job = next(job for job in json.loads(told)["jobs"] if job["rule"] == "estimate_flow")
    assert {file["path"]: file["tree"] for file in job["code"]}[path] == "changed"


def test_rows_are_printed_as_csv_that_no_spreadsheet_takes_for_formulas(tiny, tree):
    code, said = tiny.run(COMMAND, "trace", "flow.patients.analysed", "--rows")
    assert code == 0
    rows = list(csv.DictReader(said.splitlines()))
    assert len(rows) == len(all_rows(tree, "synthetic:flow.patients.analysed"))
    assert list(rows[0]) == ["role", "id", "file", "sheet", "row", "patient", "table"]
    assert any(row["sheet"] for row in rows)
    code, said = tiny.run(COMMAND, "trace", "efficacy.rfs_cox_unadjusted.contrast.hr", "--rows", "--json")
    assert {row["role"] for row in json.loads(said)} == {"n", "events"}


def test_a_chain_over_a_changed_file_says_so_and_ends_with_1(tiny, change):
    change("results/synthetic/adam/adsl.parquet", lambda content: content[:200] + b"\x01" + content[201:])
    code, said = tiny.run(COMMAND, "trace", "efficacy.rfs_cox_unadjusted.contrast.hr", check=False)
    assert code == 1
    assert "results/synthetic/adam/adsl.parquet" in said.split("BROKEN")[1]
    assert "Traceback" not in said


# --- status ----------------------------------------------------------------------------------------------------------


def test_a_finished_tree_is_kept_and_has_nothing_to_do(tiny):
    code, said = tiny.run(COMMAND, "status")
    assert code == 0
    assert said.splitlines()[0].startswith("Seals     kept")
    assert "nothing  the paper is up to date" in said
    assert "Moved on" not in said
    assert max(len(line) for line in said.splitlines()) <= 80
    found = status(tiny.folder, plan=False)
    assert found.broken == found.moved == found.code == []
    assert found.papers[0].cohort == "synthetic"
    assert [path.rpartition(".")[2] for path in found.papers[0].files] == ["docx", "html", "pdf"]


def test_a_broken_seal_comes_first_and_is_named(tiny, change):
    name = "results/synthetic/ard/ard.csv"
    change(name, lambda content: content[:-3] + b"9\n")
    code, said = tiny.run(COMMAND, "status", check=False)
    assert code == 1
    assert said.splitlines()[0].startswith("Seals     BROKEN")
    assert said.splitlines()[1].strip() == name
    code, told = tiny.run(COMMAND, "status", "--json", "--no-plan", check=False)
    told = json.loads(told)
    assert (code, told["seals"], told["broken"][0]["path"]) == (1, "broken", name)


def test_what_moved_on_and_what_failed_is_told(tiny, change):
    change("src/sorafenib_rfa/stats/cox.py", lambda content: content + b"\nLATER = 1\n")
    change("src/sorafenib_rfa/arms.py", lambda content: content + b"# words\n")
    change("manuscript/_discussion.qmd", lambda content: content + b"\nMore.\n")
    found = status(tiny.folder)
    assert found.broken == []
    assert [(file.path, file.how) for file in found.code] == [
        ("src/sorafenib_rfa/arms.py", "reworded"),
        ("src/sorafenib_rfa/stats/cox.py", "changed"),
    ]
    assert [breach.path for breach in found.moved] == ["manuscript/_discussion.qmd"]
    assert found.would_run["estimate_efficacy"] == 1
    assert found.would_run["render_manuscript"] == 1
    assert "ingest_site" not in found.would_run or found.would_run["simulate_raw"] == 1


# --- why -------------------------------------------------------------------------------------------------------------


def test_nothing_to_do_is_said_with_why_it_was_made(tiny):
    answer = why(tiny.folder, "results/synthetic/adam/adsl.parquet")
    assert (answer.jobs, answer.broken) == ([], [])
    assert answer.last.event == "finished"
    assert answer.last.reasons
    code, said = tiny.run(COMMAND, "why", "results/synthetic/adam/adsl.parquet")
    assert code == 0
    assert "Nothing would be made again" in said
    assert " ".join(said.split()).count(answer.last.reasons[0]) == 1


def test_a_changed_key_is_named_with_both_values_and_its_line(tiny, change):
    change("config/plan.yaml", replaced("\nlandmark_day: 60", "\nlandmark_day: 30"))
    answer = why(tiny.folder, "figure:km_rfs")
    line = (tiny.folder / "config/plan.yaml").read_text(encoding="utf-8").splitlines().index("landmark_day: 30") + 1
    cause = next(cause for cause in answer.causes if cause.text.startswith("plan.landmark_day"))
    assert cause.text == f"plan.landmark_day: 60 -> 30 (config/plan.yaml:{line})."
    assert {"build_adam", "draw_figures_of_synthetic"} <= set(cause.jobs)
    assert [cause.kind for cause in answer.causes] == ["parameter"]
    follows = [job for job in answer.jobs if not job.begins]
    assert titles(follows) == {"estimate_flow", "collect_ard"}


def test_a_changed_module_is_named_with_the_way_it_is_imported(tiny, change):
    change("src/sorafenib_rfa/stats/interval_censoring.py", lambda content: content + b"\nLATER = 1\n")
    answer = why(tiny.folder, "results/synthetic/ard/parts/time_to_event.parquet")
    assert [cause.text for cause in answer.causes] == ["Code changed: src/sorafenib_rfa/stats/interval_censoring.py."]
    route = answer.causes[0].route
    assert route[0].startswith("workflow/scripts/")
    assert route[-1] == "src/sorafenib_rfa/stats/interval_censoring.py"
    for importer, imported in itertools.pairwise(route[1:]):
        name = imported.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        text = (tiny.folder / importer).read_text(encoding="utf-8")
        assert name in text or name.rpartition(".")[2] in text


def test_a_missing_file_and_a_changed_text_are_told_apart(tiny, change):
    gone = tiny.folder / "results/synthetic/figures/km_os.svg"
    content, stat = gone.read_bytes(), gone.stat()
    change("manuscript/_results.qmd", lambda text: text + b"\nMore.\n")
    gone.unlink()
    try:
        answer = why(tiny.folder)
    finally:
        gone.write_bytes(content)
        os.utime(gone, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    causes = {cause.kind: cause for cause in answer.causes}
    assert set(causes) == {"missing", "input"}
    assert causes["missing"].jobs == ["draw_figures_of_synthetic"]
    assert "results/synthetic/figures/km_os.svg" in causes["missing"].text
    assert "manuscript/_results.qmd changed" in causes["input"].text
    assert causes["input"].jobs == ["render_manuscript"]


def test_a_broken_seal_is_why_nothing_runs(tiny, change):
    change("results/synthetic/adam/adsl.parquet", lambda content: content[:200] + b"\x01" + content[201:])
    code, said = tiny.run(COMMAND, "why", check=False)
    assert code == 1
    assert "1 seal broken" in said
    assert "results/synthetic/adam/adsl.parquet" in said


def test_an_unknown_output_is_no_traceback(tiny):
    code, said = tiny.run(COMMAND, "why", "results/synthetic/adam/adls.parquet", check=False)
    assert code == 2
    assert "results/synthetic/adam/adsl.parquet" in said
    assert "Traceback" not in said


# --- impact ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def of_the_paper(finished):
    """Records of the jobs on which the paper rests; the analysis of another target is left out."""
    return {job.record for job in read_plan(finished.folder) if job.record}


@pytest.mark.parametrize(
    ("key", "file", "before", "after"),
    [
        (
            "plan.treatment_emergent_days",
            "config/plan.yaml",
            "treatment_emergent_days: 30",
            "treatment_emergent_days: 20",
        ),
        ("cohorts.synthetic.sites.us01.title", "config/cohorts/synthetic/sites/us01.yaml", "title: ", "title: New "),
        ("run.publication_date", "config/config.yaml", "2026-11-21", "2026-11-22"),
        ("run.seed", "config/config.yaml", "seed: ", "seed: 1"),
        ("manuscript/claims.yaml", "manuscript/claims.yaml", "# --- efficacy", "# --- Efficacy"),
        (
            "src/sorafenib_rfa/estimates/safety.py",
            "src/sorafenib_rfa/estimates/safety.py",
            "\nimport ",
            "\nX = 1\nimport ",
        ),
        ("notebooks/safety.ipynb", "notebooks/safety.ipynb", '"# ', '"# New '),
    ],
)
def test_impact_foretells_exactly_what_snakemake_then_wants_to_run(
    tiny, change, of_the_paper, key, file, before, after
):
    foretold = impact(tiny.folder, key)
    change(file, replaced(before, after))
    planned = {job.record for job in read_plan(tiny.folder) if job.needs_run and job.record}
    assert planned
    assert set(foretold.would_run) & of_the_paper == planned
    assert set(foretold.can_change) <= set(foretold.would_run)


def test_a_raw_file_reaches_numbers_sentences_and_exhibits(tiny):
    name = "data/raw/synthetic/us01/labs.csv"
    found = impact(tiny.folder, name)
    assert found.kind == "raw file"
    assert titles(found.direct) == {"ingest_site us01"}
    assert "synthetic:flow.patients.analysed" in found.numbers_in_paper
    assert not any(number.startswith("hcc_resection:") for number in found.numbers)
    assert "synthetic:km_rfs" in found.figures
    assert "synthetic:agreement" not in found.tables  # its numbers come from stored results
    assert "abstract_rfs" in found.claims
    assert all((tiny.folder / use.file).exists() for use in found.places)


def test_packages_files_and_wrong_names(tiny):
    found = impact(tiny.folder, "seaborn")
    assert found.value == __import__("seaborn").__version__
    drawing = {touched.rule for touched in found.direct if touched.can_change}
    assert "draw_figures_of_synthetic" in drawing
    drawers = {"draw_figures", "draw_truth", "draw_validation", "run_notebook"}
    assert {rule.partition("_of_")[0] for rule in drawing} <= drawers
    text = impact(tiny.folder, "manuscript/_discussion.qmd")
    assert text.numbers == []
    assert titles(text.direct) == {"render_manuscript"}
    assert {use.file for use in text.places} == {"manuscript/_discussion.qmd"}
    with pytest.raises(QueryError, match=r"did you mean plan\.landmark_day"):
        impact(tiny.folder, "plan.landmark_dya")
    code, said = tiny.run(COMMAND, "impact", "plan.landmark_day", "--json")
    assert code == 0
    assert json.loads(said)["place"].startswith("config/plan.yaml:")


# the errors to plant, one rate a kind, and the whole plan, which the stored study must have been made by
READ_WHOLE = ("simulate_raw", "validation_results", "draw_validation")


def test_no_code_of_a_job_reads_a_plan_wholesale(finished, tree):
    """What `impact` says of results rests on it: `model_dump` and the like would read keys without naming them."""
    names = Names(finished.folder)
    for record in tree.records.values():
        if "plan" in record.params and record.rule not in READ_WHOLE:
            assert names.uses(sorted(record.code_files), "no_such_key") is None, record.path


# --- these run jobs in the copy of this file, so they come last -------------------------------------------------------


def test_a_failed_job_is_told_until_it_has_finished(tiny):
    figure = "results/hcc_resection/figures/flow.svg"
    path = tiny.folder / "src/sorafenib_rfa/exhibits/figures/flow.py"
    sound = path.read_bytes()
    path.write_bytes(sound + b"\nraise ValueError('\x1b[31mno \xe2\x80\xae figure')\n")
    code, _ = tiny.snakemake(figure, check=False)
    assert code != 0

    def failure():
        failures = status(tiny.folder, plan=False).failures
        return next(each for each in failures if each.rule.startswith("draw_figures"))

    assert (failure().rule, failure().mended) == ("draw_figures_of_hcc_resection", False)
    _, said = tiny.run(COMMAND, "status", "--no-plan")
    assert "draw_figures_of_hcc_resection" in said.split("Failed")[1]
    assert "\\u001b[31mno \\u202e figure" in said
    assert "\x1b" not in said
    path.write_bytes(sound)
    tiny.snakemake(figure)
    assert failure().mended
    _, said = tiny.run(COMMAND, "status", "--no-plan")
    assert "Failed    none now" in said
    assert "failed once and finished since" in said


def test_a_job_that_is_handed_a_key_its_code_never_names_comes_to_the_same_result(tiny, change):
    key = "treatment_emergent_days"
    found = impact(tiny.folder, f"plan.{key}")
    same = {touched.title for touched in found.direct if not touched.can_change}
    assert "estimate_efficacy" in same
    assert "estimate_safety" not in found.can_change
    named = [touched for touched in found.direct if touched.can_change and touched.rule not in READ_WHOLE]
    assert named
    for place in [touched.names_it for touched in named]:
        file, _, line = place.rpartition(":")
        assert key in (tiny.folder / file).read_text(encoding="utf-8").splitlines()[int(line) - 1]
    # the proof: change it, run one such job, compare bytes
    part = tiny.folder / "results/synthetic/clean/patients.parquet"
    before = part.read_bytes()
    assert "clean_cohort" in same
    change("config/plan.yaml", replaced(f"{key}: 30", f"{key}: 20"))
    tiny.snakemake("results/synthetic/clean/patients.parquet")
    assert part.read_bytes() == before
