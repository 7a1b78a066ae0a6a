"""The paper on a cluster: the same files, byte for byte, as on one machine."""

import json
import re
import shutil

import pytest

from tests.checkout import BUILT, COMMAND, ROOT, Checkout

VOLATILE = ("run_log.jsonl",)


GUIDE = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
FROM_CLONE = re.search(r"## From clone to paper\n.*?```bash\n(.*?)```", GUIDE, re.DOTALL)[1].splitlines()


@pytest.fixture(scope="module")
def by_slurm(login_node, slurm, finished, tmp_path_factory):
    """The tiny paper as the guide has it made, by its commands: the checkout, what was said, submissions."""
    clone, *commands = FROM_CLONE
    assert clone.startswith("git clone ")
    checkout = Checkout(tmp_path_factory.mktemp("paper") / "repository")
    shutil.copytree(finished.folder, checkout.folder, ignore=shutil.ignore_patterns(*BUILT))
    # in place of installing the locks, which takes minutes: the environment the tests run in, and the plugin
    (checkout.folder / ".venv").symlink_to(login_node.environment.folder)
    for stamp in (".paper", ".executor-slurm"):
        (checkout.folder / ".venv" / stamp).touch()
    before = slurm.submissions()
    said = ""
    for command in commands:
        # the doctor ends with 1 for anything it finds; what it finds is not what is tested here
        code, said = login_node.run(checkout.folder, "bash", "-c", command, check="doctor" not in command)
        assert code in (0, 1), said
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
