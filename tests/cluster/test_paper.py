"""The paper on a cluster: the same files, byte for byte, as on one machine."""

import json

import pytest

from tests.checkout import COMMAND, ROOT, copy_of_repository

VOLATILE = ("run_log.jsonl",)


@pytest.fixture(scope="module")
def by_slurm(login_node, slurm, tmp_path_factory):
    """The tiny paper made through the shipped profile: its checkout, and what Snakemake said."""
    checkout = copy_of_repository(tmp_path_factory.mktemp("paper") / "repository", screened=150)
    before = slurm.submissions()
    _, said = login_node.run(checkout.folder, *login_node.snakemake("paper", profiles=ROOT / "profiles"))
    return checkout, said, slurm.submissions() - before


def results(folder):
    """Return the files of the results, by path: bytes; records without what differs between faithful repetitions."""
    found = {}
    for path in sorted((folder / "results").rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or path.name in (*VOLATILE, ".snakemake_timestamp"):
            continue
        found[name] = path.read_bytes()
        if "/records/" in name and path.suffix == ".json":
            record = json.loads(found[name])
            record.pop("run")
            found[name] = record
    return found


def test_the_paper_made_by_slurm_is_the_one_made_here(by_slurm, finished):
    made, here = results(by_slurm[0].folder), results(finished.folder)
    assert "results/synthetic/manuscript/paper.pdf" in made
    assert len([name for name in made if name.endswith(".json") and "/records/" in name]) > 40  # their seals among them
    differ = [name for name, content in made.items() if here.get(name) != content]
    assert differ == []


def test_every_job_ran_on_a_node_and_few_submissions_were_made(by_slurm):
    checkout, said, submissions = by_slurm
    logs = list((checkout.folder / ".snakemake/slurm_logs").rglob("*.log"))
    assert len(logs) == submissions, said
    records = list((checkout.folder / "results").glob("*/records/*/*.json"))
    assert submissions < 0.9 * len(records)
    assert "did not end well" not in said


def test_afterwards_there_is_nothing_to_do_here(by_slurm):
    assert by_slurm[0].planned("paper") == []


def test_its_seals_hold(by_slurm):
    code, said = by_slurm[0].run(COMMAND, "status", check=False)
    assert "broken" not in said.lower(), said
    assert code == 0, said
