"""sorafenib-rfa adopt: a fresh clone takes over a bundle's results job by job, and Snakemake agrees."""

import json
import random
import zipfile

import pytest

from sorafenib_rfa.provenance.scratch import copy_sources
from sorafenib_rfa.records.record import load_records
from sorafenib_rfa.records.run_log import read_log, run_log_path
from sorafenib_rfa.records.seals import check_seals
from tests.checkout import COMMAND, Checkout, edit_yaml

EXPORTS = ("build_audit_site", "pack_bag", "write_crate", "write_paperwork")
pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def records(finished):
    return load_records(finished.folder)


@pytest.fixture(scope="module")
def bundle(finished, tmp_path_factory):
    """The finished results in a zip, laid out as a bag is."""
    path = tmp_path_factory.mktemp("bundle") / "synthetic.zip"
    pack(finished.folder, path)
    return path


def pack(folder, path, change=lambda name, content: content):
    with zipfile.ZipFile(path, "w") as archive:
        for part in ("results", "data/raw"):
            for file in sorted((folder / part).rglob("*")):
                if file.is_file():
                    name = file.relative_to(folder).as_posix()
                    archive.writestr(f"synthetic/data/{name}", change(name, file.read_bytes()))
    return path


@pytest.fixture
def clone(finished, records, tmp_path):
    """A fresh clone: sources, nothing made, no memory of Snakemake's."""
    folder = tmp_path / "clone"
    folder.mkdir()
    copy_sources(finished.folder, folder, records)
    return Checkout(folder)


def adopt(checkout, *arguments):
    code, said = checkout.run(COMMAND, "adopt", *arguments, "--json", check=False)
    return code, json.JSONDecoder().raw_decode(said, said.index("{"))[0]


def test_a_clone_adopts_everything_and_later_changes_still_rerun(clone, bundle, records, finished):
    jobs = len(records)
    code, adopted = adopt(clone, bundle)
    assert (code, len(adopted["adopted"]), adopted["not_adopted"], adopted["to_run"]) == (0, jobs, [], [])
    assert clone.planned() == []
    assert check_seals(clone.folder) == []
    events = [entry.content for entry in read_log(run_log_path(clone.folder, "synthetic"))]
    own = [event for event in events if event["event"] == "adopted"]
    assert {event["record"] for event in own} == {path for path in records if path.startswith("results/synthetic/")}
    # Snakemake was told the present parameters and code: a change of either is noticed
    script = clone.folder / "workflow/scripts/make_tables.py"
    kept = script.read_text()
    script.write_text(kept + "\nTHIS_IS_NEW = 1\n")
    tables = {f"make_tables_of_{cohort}" for cohort in ("synthetic", "hcc_resection", "evidence")}
    assert {job.split()[0] for job in clone.planned()} == {*tables, "paper", "render_manuscript", "run_notebook"}
    script.write_text(kept)
    assert clone.planned() == []
    plan = clone.folder / "config/plan.yaml"
    kept = plan.read_text()
    edit_yaml(plan, lambda content: content.update(bootstrap_resamples=201))
    assert "estimate_efficacy" in clone.planned()
    plan.write_text(kept)
    # adopted again: nothing is written twice
    code, again = adopt(clone, bundle)
    assert (code, again["files"], len(again["adopted"])) == (0, 0, jobs)
    assert len(read_log(run_log_path(clone.folder, "synthetic"))) == len(events)
    assert all((finished.folder / path).read_bytes() == (clone.folder / path).read_bytes() for path in records)


def test_a_flipped_byte_keeps_its_job_and_what_hangs_on_it_out(clone, finished, tmp_path):
    victim = "results/synthetic/tables/safety.csv"
    chance = random.Random(4)

    def flip(name, content):
        if name != victim:
            return content
        at = chance.randrange(len(content))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    code, adopted = adopt(clone, pack(finished.folder, tmp_path / "b.zip", flip))
    assert code == 1
    left = {each["record"]: each for each in adopted["not_adopted"]}
    table = "results/synthetic/records/make_tables_of_synthetic/synthetic.json"
    assert left[table]["faulty"] and victim in left[table]["reasons"][0]
    assert all(each["follows"] for path, each in left.items() if path != table)
    # what reads the table: the paper and the cohort's notebooks
    follow = {"make_tables_of_synthetic", "render_manuscript", "run_notebook"}
    assert {path.split("/")[3] for path in left} == {*follow, *EXPORTS}
    assert not (clone.folder / victim).exists()
    assert {job.split()[0] for job in clone.planned()} == {*follow, "paper"}
    assert check_seals(clone.folder) == []


def test_what_the_clone_has_otherwise_is_not_adopted_and_named(clone, bundle):
    edit_yaml(clone.folder / "config/plan.yaml", lambda content: content.update(publication_note="x") or None)
    code, said = clone.run(COMMAND, "adopt", bundle, check=False)
    assert code == 2  # Snakemake cannot plan with an unknown key: its message, no traceback
    assert "publication_note" in said and "Traceback" not in said


def test_a_changed_module_is_named_and_nothing_that_differs_is_overwritten(clone, bundle, finished):
    module = clone.folder / "src/sorafenib_rfa/exhibits/tables.py"
    module.write_text(module.read_text() + "\nTHIS_IS_NEW = 1\n")
    mine = clone.folder / "results/synthetic/figures/km_rfs.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("my own work\n")
    code, adopted = adopt(clone, bundle)
    assert code == 0
    left = {each["record"]: each["reasons"] for each in adopted["not_adopted"]}
    table = left["results/synthetic/records/make_tables_of_synthetic/synthetic.json"]
    assert table == ["other code here than ran: src/sorafenib_rfa/exhibits/tables.py"]
    (figure,) = left["results/synthetic/records/draw_figures_of_synthetic/synthetic.json"]
    assert "results/synthetic/figures/km_rfs.csv is here already and differs" in figure
    assert mine.read_text() == "my own work\n"
    code, adopted = adopt(clone, bundle, "--replace")
    left = {each["record"] for each in adopted["not_adopted"]}
    assert "results/synthetic/records/draw_figures_of_synthetic/synthetic.json" not in left
    assert mine.read_bytes() == (finished.folder / "results/synthetic/figures/km_rfs.csv").read_bytes()


def test_results_that_came_with_the_clone_are_looked_at_in_place(tiny):
    """As `make paper` does in a clone that came with results but without Snakemake's memory."""
    import shutil

    shutil.rmtree(tiny.folder / ".snakemake")
    victim = tiny.folder / "results/synthetic/figures/love.csv"
    victim.write_text(victim.read_text() + "1\n")
    mine = tiny.folder / "results/synthetic/figures/my_own.csv"
    mine.write_text("claimed by no record\n")
    code, adopted = adopt(tiny)
    record = "results/synthetic/records/draw_figures_of_synthetic/synthetic.json"
    assert code == 1
    assert record in {each["record"] for each in adopted["not_adopted"] if each["faulty"]}
    assert record in adopted["dropped_records"]  # or Snakemake would take the file for a good one
    # and what the job had made goes with it, or nobody would claim it
    assert "results/synthetic/figures/love.csv" in adopted["dropped_files"]
    assert not [path for path in adopted["dropped_files"] if (tiny.folder / path).exists()]
    assert mine.read_text() == "claimed by no record\n"
    mine.unlink()
    assert "draw_figures_of_synthetic" in tiny.planned()
    assert not [breach for breach in check_seals(tiny.folder) if breach.broken]
