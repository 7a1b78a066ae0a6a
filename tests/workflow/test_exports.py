"""Crate, paperwork and bag made by the real rules: guarded jobs read what they declare, and the bag checks itself."""

import json
import sys
import zipfile

import pytest

BAG = "results/synthetic/bag/synthetic.zip"

pytestmark = pytest.mark.workflow


@pytest.fixture(scope="module")
def exported(tiny):
    tiny.snakemake("audit", "--cores", "2")
    return tiny


@pytest.fixture(scope="module")
def unpacked(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bag")
    with zipfile.ZipFile(exported.folder / BAG) as archive:
        archive.extractall(folder)
    return folder / "synthetic"


def test_the_bag_checks_itself_and_holds_all_there_is(exported, unpacked):
    code, said = exported.run(sys.executable, "-I", "-S", unpacked / "verify.py", "--json", check=False)
    assert (code, json.loads(said)["findings"]) == (0, [])
    names = {path.name for path in (unpacked / "data/results/synthetic/paperwork").iterdir()}
    assert names == {"README_AEA.md", "certificate.md", "codecheck.yml", "plan.md", "strobe.md", "target.md"}
    assert (unpacked / "data/results/synthetic/audit/index.html").is_file()
    top = (unpacked / "data/codecheck.yml").read_text(encoding="utf-8")
    assert top == (exported.folder / "results/synthetic/paperwork/codecheck.yml").read_text(encoding="utf-8")


def test_every_job_behind_the_paper_is_an_action_of_the_crate(exported, unpacked):
    records = {
        path.relative_to(exported.folder).as_posix()
        for rule in ("render_manuscript", "collect_ard", "ingest_site", "simulate_raw", "draw_figures_of_synthetic")
        for path in (exported.folder / "results/synthetic/records" / rule).glob("*.json")
    }
    for metadata in (
        exported.folder / "results/synthetic/crate/ro-crate-metadata.json",
        unpacked / "data/ro-crate-metadata.json",
    ):
        graph = json.loads(metadata.read_text(encoding="utf-8"))["@graph"]
        assert records <= {each["subjectOf"]["@id"] for each in graph if "subjectOf" in each}


def test_nothing_is_to_be_done_again_until_a_source_changes(exported):
    assert exported.planned("audit") == []
    readme = exported.folder / "README.md"
    before = readme.read_text(encoding="utf-8")
    readme.write_text(f"{before}\nMore.\n", encoding="utf-8")
    assert {"write_crate", "pack_bag"} <= set(exported.planned("audit"))
    assert exported.planned("paper") == []
    readme.write_text(before, encoding="utf-8")


def test_the_unpacked_bag_is_taken_over_and_needs_nothing_made_again(exported, unpacked):
    from tests.checkout import COMMAND, Checkout

    bag = Checkout(unpacked / "data")
    bag.run(COMMAND, "adopt", environment={"PYTHONPATH": ""})
    assert bag.planned("paper") == []
