"""The real DAG on a tiny cohort: it ends in the paper, reruns exactly what is affected, and never sees the truth."""

import json
import re
from pathlib import Path

import pytest

from tests.checkout import NOTEBOOKS, ROOT

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PARTS = (
    *("ablation", "baseline", "benefit_risk", "efficacy", "exposure", "flow", "liver", "repeat_rfa", "safety"),
    *("sensitivity", "subgroups", "target_trial", "time_to_event"),
)
# everything that hangs on the clean tables of the synthetic cohort
DOWNSTREAM_OF_CLEAN = [
    "build_adam",
    "clean_cohort",
    "collect_ard",
    "draw_figures_of_synthetic",
    "draw_truth",
    "draw_validation",
    *(f"estimate_{part}" for part in PARTS),
    "make_tables_of_synthetic",
    "paper",
    "render_manuscript",
    *(f"run_notebook {name}" for name in NOTEBOOKS),
    "validation_results",
]


def test_the_paper_is_there_in_three_formats(tiny):
    folder = tiny.folder / "results/synthetic/manuscript"
    assert (folder / "paper.pdf").read_bytes().startswith(b"%PDF-")
    assert (folder / "paper.docx").read_bytes().startswith(b"PK")
    html = (folder / "paper.html").read_text(encoding="utf-8")
    assert "Synthetic data" in html
    assert not re.findall(r'(?:src|srcset)="(?!data:|#)[^"]+"|<link[^>]+href="(?!data:)[^"]+"', html)


def test_what_cannot_be_estimated_is_printed_as_such(tiny):
    """The cohort is too small for its own primary analysis: the paper is built, and says so in each such place."""
    import pandas as pd

    results = tiny.folder / "results/synthetic"
    ard = pd.read_parquet(results / "ard/ard.parquet").set_index("ard_id")
    unknown = ard[ard["value"].isna()]
    assert unknown["method"].str.startswith(("not estimable", "not tested")).all()
    html = (results / "manuscript/paper.html").read_text(encoding="utf-8")
    printed = re.findall(r'class="val" data-ard="synthetic:([^"]+)">([^<]*)</', html)
    assert len(printed) > 300
    said = {(name, text) for name, text in printed if name in unknown.index}
    assert len(said) > 20
    assert {text for _, text in said} == {"not estimable"}
    for name, text in printed:
        if name in ard.index and name not in unknown.index:
            assert "estimable" not in text, name


def test_every_patient_has_one_fate(tiny):
    import pandas as pd

    fates = pd.read_parquet(tiny.folder / "results/synthetic/clean/fates.parquet")
    adsl = pd.read_parquet(tiny.folder / "results/synthetic/adam/adsl.parquet")
    assert fates["USUBJID"].is_unique
    assert set(fates.loc[fates["fate"] == "analysed", "USUBJID"]) == set(adsl["USUBJID"])


def test_a_finished_tree_has_nothing_to_do(tiny):
    _, said = tiny.snakemake("--dry-run", "paper", "data", "analysis")
    assert "Nothing to be done" in said


def test_a_changed_sentence_renders_only(tiny, change):
    change("manuscript/_discussion.qmd", lambda content: content + b"\nOne more sentence.\n")
    assert tiny.planned("paper") == ["paper", "render_manuscript"]


def test_a_comment_in_a_helper_reruns_nothing(tiny, change):
    change("src/sorafenib_rfa/clinical/bclc.py", lambda content: content + b"\n# a remark\n")
    assert tiny.planned("paper") == []


SECRET = re.compile(r"results/[^/]+/validation/")
TRUTH = re.compile(r"/validation/(truth\.parquet|dirt\.parquet|true_estimands\.csv)")
SHOWN = re.compile(r"/validation/(ard|tables|figures)/")


def inputs_of_jobs(said):
    """Return the rule and the inputs of every job that a dry run announces."""
    jobs = []
    for line in said.splitlines():
        text = line.strip()
        if text.startswith(("rule ", "localrule ")):
            jobs.append((text.split()[1].rstrip(":"), []))
        elif text.startswith("input: "):
            jobs[-1][1].extend(text.removeprefix("input: ").split(", "))
    return jobs


def check_readers(jobs):
    """No analysis reads below validation/; the paper reads what is shown of it; its own rules alone read the truth."""
    own = set(re.findall(r"^rule (\w+):", (ROOT / "workflow/rules/validation.smk").read_text("utf-8"), flags=re.M))
    own |= {"validation", "validation_study"}  # the targets that name what they make
    for rule, paths in jobs:
        secret = [path for path in paths if SECRET.search(path)]
        if rule == "render_manuscript":
            assert all(SHOWN.search(path) for path in secret), secret
        elif rule not in own:
            assert not secret, rule
    return {rule for rule, paths in jobs if any(TRUTH.search(path) for path in paths)}


def test_no_rule_but_validation_reads_the_truth(tiny):
    targets = ["paper", "data", "analysis", "figures", "notebooks", "validation"]
    _, said = tiny.snakemake(*targets, "--forceall", "--dry-run")
    jobs = inputs_of_jobs(said)
    assert len({rule for rule, _ in jobs}) > 20
    assert check_readers(jobs) == {"true_estimands", "validation_results", "validation"}
    # the check sees what it looks for
    with pytest.raises(AssertionError, match="estimate_efficacy"):
        check_readers([("estimate_efficacy", ["results/synthetic/validation/ard/ard.parquet"])])
    with pytest.raises(AssertionError, match=r"truth\.parquet"):
        check_readers([("render_manuscript", ["results/synthetic/validation/truth.parquet"])])
    # what jobs really were given, by their records
    records = [json.loads(p.read_text()) for p in (tiny.folder / "results").glob("*/records/*/*.json")]
    given = [(record["rule"], [entry["path"] for entry in record["inputs"]]) for record in records]
    assert check_readers(given) == {"true_estimands", "validation_results"}
    # nor does the code of any analysis name the place: what compares and exports results speaks of all of them
    told = ("src/sorafenib_rfa/paperwork/", "src/sorafenib_rfa/export/", "src/sorafenib_rfa/provenance/")
    for record in records:
        if record["rule"].startswith(("clean_", "build_adam", "estimate_", "collect_")):
            assert not [path for path in record["code"]["files"] if path.startswith(told)], record["rule"]
    for path in [
        *(ROOT / "src").rglob("*.py"),
        *(ROOT / "notebooks").glob("*.ipynb"),
        *(ROOT / "workflow/scripts").glob("*.py"),
    ]:
        if not {"simulate", "paperwork", "export", "provenance", "validation"} & set(path.relative_to(ROOT).parts):
            # the stored agreement with R is not of this cohort
            place = re.search(r"validation/(?!agreement\.csv)", path.read_text(encoding="utf-8"))
            assert place is None, path


def test_every_job_left_a_record_that_matches_its_files(tiny):
    from sorafenib_rfa.records.digests import sha256_of

    records = [json.loads(p.read_text()) for p in (tiny.folder / "results").glob("*/records/[!f]*/*.json")]
    for record in records:
        assert record["status"] == "finished"
        assert record["environment"]["distributions"]["snakemake"]
        for entry in record["outputs"]:
            assert sha256_of(tiny.folder / entry["path"]) == entry["sha256"], entry["path"]


# what jobs import without resting on it, and why no result can depend on it
HARMLESS = {
    "snakemake": "hands the script its files",
    "snakemake-interface-common": "as snakemake",
    "snakemake-interface-logger-plugins": "as snakemake",
    "snakemake-interface-storage-plugins": "as snakemake",
    "cloudpickle": "pyarrow looks whether it is there",
    "numexpr": "pandas uses it from a million elements on",
    "hypothesis": "pandera looks whether it is there",
    "sortedcontainers": "as hypothesis",
    "charset-normalizer": "requests looks whether it is there",
    "rdflib": "prov writes RDF with it; JSON is written",
    "html5rdf": "as rdflib",
    "statsmodels": "seaborn takes it for kernel densities of its own; none is drawn",
    "lxml": "python-docx and openpyxl write XML with it, or with Python's own",
    **dict.fromkeys(
        ["comm", "ipython", "ipywidgets", "pygments", "traitlets"], "seaborn looks whether a notebook has widgets"
    ),
    "notebook": "nbconvert looks whether it is there",
    "tinycss2": "bleach cleans styles with it, where there are any",
    "six": "needed by a checker of formats",
    **dict.fromkeys(
        ["arrow", "fqdn", "isoduration", "jsonpointer", "rfc3339-validator", "rfc3986-validator", "uri-template"],
        "jsonschema checks formats of notebooks with it",
    ),
    "webcolors": "as arrow",
}


def test_what_jobs_import_is_what_their_rules_track(tiny):
    from sorafenib_rfa.records.environment import normalised
    from sorafenib_rfa.records.record import load_records

    untracked = {
        normalised(name): record.rule
        for record in load_records(tiny.folder).values()
        for name in record.content["environment"]["distributions"]
        if normalised(name) not in record.params["environment"] and normalised(name) not in HARMLESS
    }
    assert untracked == {}


def test_every_ard_row_names_a_record_that_exists(tiny):
    import pandas as pd

    for ard in (tiny.folder / "results").glob("*/ard/ard.parquet"):
        for record in pd.read_parquet(ard)["record"].unique():
            assert (ard.parent.parent / record).is_file(), record


def test_lint_and_style_of_the_workflow(tiny):
    code, said = tiny.snakemake("--lint", check=False)
    assert code == 0, said


def test_the_picture_of_the_rule_graph_is_that_of_the_rules(tiny):
    _, said = tiny.snakemake("paper", "--forceall", "--rulegraph")
    drawn = re.findall(r"<text[^>]*>([a-z_]+)</text>", (ROOT / "docs/rulegraph.svg").read_text(encoding="utf-8"))
    assert sorted(drawn) == sorted(re.findall(r'label = "([a-z_]+)"', said))
    assert (ROOT / "docs/rulegraph.svg").read_text().count('class="edge"') == len(re.findall(r"\d+ -> \d+", said))


def test_rules_carry_what_the_house_asks(tiny):
    for path in sorted((ROOT / "workflow/rules").glob("*.smk")):
        # a rule made for each cohort has no name of its own: its script's stands for it
        for rule in re.split(r"^ *rule\b", path.read_text(encoding="utf-8"), flags=re.M)[1:]:
            name = rule.split(":")[0].strip() or re.search(r'f"(\w+)_of_\{_cohort\}"', rule)[1]
            for part in (
                '"""',
                "log:",
                "benchmark:",
                "mem_mb=grows(",
                "runtime=grows(",
                "disk_mb=grows(",
                "conda:",
                "record=",
            ):
                assert part in rule, f"{name} lacks {part}"
            assert f'"../scripts/{name}.py"' in rule, f"{name} and its script differ in name"
            assert (ROOT / "workflow/scripts" / f"{name}.py").is_file()
    assert not any(Path(p).read_text().count("\n    run:") for p in (ROOT / "workflow/rules").glob("*.smk"))
