"""One flipped byte, in every kind of artefact and in hundreds of random places, is noticed and its file is named."""

import json
import random

import pytest

from sorafenib_rfa.records.record import load_records
from sorafenib_rfa.records.seals import check_seals
from tests.checkout import COMMAND

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

KINDS = {
    "raw file that a job made": "data/raw/synthetic/*/*.csv",
    "raw file of a cohort": "data/public/hcc_resection/hcc_resection.csv",
    "workbook": "data/raw/synthetic/*/*.xlsx",
    "ingested table": "results/*/ingest/*/*.parquet",
    "clean table": "results/*/clean/*.parquet",
    "ledger": "results/*/clean/*.csv",
    "ADaM": "results/*/adam/*.parquet",
    "data dictionary": "results/*/adam/data_dictionary.md",
    "ARD": "results/*/ard/ard.*",
    "part of the ARD": "results/*/ard/parts/*.parquet",
    "members": "results/*/ard/members*/**/*.parquet",
    "curve": "results/*/curves/*.parquet",
    "figure": "results/*/figures/*.svg",
    "figure as PNG": "results/*/figures/*.png",
    "figure data": "results/*/figures/*.csv",
    "table": "results/*/tables/*.md",
    "executed notebook": "results/*/notebooks/*.ipynb",
    "page of a notebook": "results/*/notebooks/*.html",
    "PDF": "results/*/manuscript/paper.pdf",
    "HTML": "results/*/manuscript/paper.html",
    "DOCX": "results/*/manuscript/paper.docx",
    "expanded text": "results/*/manuscript/source/index.qmd",
    "record": "results/*/records/[!cf]*/*.json",
    "run log": "results/*/records/run_log.jsonl",
    "code as it ran": "results/*/records/code/*",
    "crate": "results/*/crate/ro-crate-metadata.json",
    "PROV": "results/*/crate/prov.json",
    "bag": "results/*/bag/*.zip",
    "audit site": "results/*/audit/**/*.*",
    "paperwork": "results/*/paperwork/*",
}


def flip(path, chance):
    """Flip one bit of one byte; return the content before."""
    content = path.read_bytes()
    at = chance.randrange(len(content))
    path.write_bytes(content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :])
    return content


def named(folder):
    return {breach.path for breach in check_seals(folder)}


@pytest.fixture(scope="module", autouse=True)
def untouched(tiny):
    """Nothing is found where nothing was changed: otherwise these tests could not fail."""
    assert check_seals(tiny.folder) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_named(tiny, kind):
    chance = random.Random(kind)
    files = [path for path in sorted(tiny.folder.glob(KINDS[kind])) if path.is_file() and path.stat().st_size]
    assert files, f"no file is of the kind {kind}"
    path = chance.choice(files)
    content = flip(path, chance)
    try:
        found = named(tiny.folder)
    finally:
        path.write_bytes(content)
    assert path.relative_to(tiny.folder).as_posix() in found


def sealed_files(folder):
    """Return every file that a record speaks of, every record, copy of code and run log; none of them empty."""
    records = load_records(folder)
    names = {entry["path"] for record in records.values() for entry in [*record.inputs, *record.outputs]}
    paths = [folder / name for name in names if (folder / name).is_file()]
    paths += [p for name in names for p in (folder / name).rglob("*") if (folder / name).is_dir() and p.is_file()]
    paths += [path for path in (folder / "results").glob("*/records/**/*") if path.is_file()]
    # the text and the notebooks are sources: an edit is work, not tampering, and the next run takes it up
    mine = ("manuscript/", "notebooks/", "validation/", "config/")
    chosen = {
        path
        for path in paths
        if path.stat().st_size
        and path.name != ".snakemake_timestamp"
        and not path.relative_to(folder).as_posix().startswith(mine)
    }
    return sorted(chosen)


def test_hundreds_of_random_flips_are_all_named(tiny):
    chance = random.Random(20261121)
    files = sealed_files(tiny.folder)
    flipped = 0
    for _ in range(8):
        # a changed record hides what it says of its files, so records are flipped in rounds of their own
        records = [path for path in files if "records" in path.parts]
        others = [path for path in files if "records" not in path.parts]
        for pool in (chance.sample(others, min(40, len(others))), chance.sample(records, 6)):
            kept = {path: flip(path, chance) for path in pool}
            try:
                found = named(tiny.folder)
            finally:
                for path, content in kept.items():
                    path.write_bytes(content)
            missed = [
                str(p.relative_to(tiny.folder)) for p in pool if p.relative_to(tiny.folder).as_posix() not in found
            ]
            assert missed == []
            flipped += len(pool)
    assert flipped >= 300
    assert check_seals(tiny.folder) == []


def test_deleting_the_record_does_not_hide_an_edit(tiny):
    record = tiny.folder / "results/synthetic/records/render_manuscript/synthetic.json"
    paper = tiny.folder / "results/synthetic/manuscript/paper.html"
    kept, content = record.read_bytes(), flip(paper, random.Random(2))
    record.unlink()
    try:
        assert record.relative_to(tiny.folder).as_posix() in named(tiny.folder)
        code, said = tiny.snakemake("paper", check=False)
    finally:
        record.write_bytes(kept)
        paper.write_bytes(content)
    assert code != 0
    assert "the record is gone, and what its job made is still there" in said
    assert "results/synthetic/manuscript/paper.html" in said


def test_the_status_that_everyone_looks_at_names_it_and_fails(tiny):
    path = tiny.folder / "results/synthetic/figures/km_rfs.csv"
    content = flip(path, random.Random(1))
    try:
        code, said = tiny.run(COMMAND, "status", check=False)
        as_json = tiny.run(COMMAND, "status", "--json", check=False)[1]
    finally:
        path.write_bytes(content)
    assert code == 1
    assert "km_rfs.csv" in said
    assert "results/synthetic/figures/km_rfs.csv" in json.dumps(json.loads(as_json))
    assert tiny.run(COMMAND, "status", check=False)[0] == 0
