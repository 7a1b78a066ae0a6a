"""Published evidence on the real DAG: traced to rows of its tables, rerun alone, refused with file, row and column."""

import pytest

from sorafenib_rfa.provenance.trace import trace
from tests.checkout import copy_of_repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

EFFECTS = "data/evidence/effects.csv"
POOLED = "evidence:synthesis.adjuvant_ttr.random_hr"


def test_a_pooled_effect_is_traced_to_the_rows_of_the_studies_that_entered_it(tiny):
    chain = trace(tiny.folder, POOLED, seals=False)
    assert not chain.synthetic
    assert [job.rule for job in chain.jobs][-1] == "estimate_evidence"
    assert EFFECTS in [file["path"] for file in chain.raw_files]
    assert not any("synthetic" in file["path"] for file in chain.raw_files)
    (studies,) = chain.members
    lines = (tiny.folder / EFFECTS).read_text(encoding="utf-8").splitlines()
    named = {lines[row["row"] - 1].split(",")[0] for row in studies.first_rows if row["file"] == EFFECTS}
    assert named == {"storm_ttr", "soramic_ablation_ttr"}


def test_a_changed_study_reruns_the_evidence_and_the_paper_and_no_patient(tiny, change):
    change(EFFECTS, lambda content: content.replace(b"\nsoramic_ablation_ttr,", b"\nsoramic_ablation_ttr ,", 1))
    jobs = tiny.planned("paper")
    assert "estimate_evidence evidence" in jobs
    assert "render_manuscript" in jobs
    others = [job for job in jobs if "evidence" not in job.split()]
    assert sorted(others) == ["paper", "render_manuscript"]


def test_a_changed_cohort_leaves_the_evidence_alone(tiny, change):
    change("config/cohorts/synthetic/simulation.yaml", lambda content: content.replace(b"\n", b"\n# more\n", 1) + b"\n")
    jobs = tiny.planned("paper", "analysis")
    assert "simulate_raw" in jobs
    assert not [job for job in jobs if "evidence" in job.split()]


def test_nothing_of_a_cohort_of_patients_is_behind_the_evidence(tiny):
    chain = trace(tiny.folder, "results/evidence/ard/ard.parquet", seals=False)
    read = {entry["path"] for job in chain.jobs for entry in job.inputs}
    of_studies = ("data/evidence/", "results/evidence/", "manuscript/references.bib")
    assert not [path for path in read if not path.startswith(of_studies)]


@pytest.fixture
def checkout(tmp_path):
    return copy_of_repository(tmp_path / "repository", screened=60)


def test_a_wrong_cell_ends_the_job_with_file_row_and_column(checkout):
    path = checkout.folder / EFFECTS
    text = path.read_text(encoding="utf-8").replace(",0.53,2.2,", ",1.53,2.2,", 1)
    path.write_text(text, encoding="utf-8")
    row = 1 + [line.split(",")[0] for line in text.splitlines()].index("soramic_ablation_ttr")
    code, said = checkout.snakemake("results/evidence/ard/ard.parquet", check=False)
    log = (checkout.folder / "logs/evidence/estimate_evidence.log").read_text(encoding="utf-8")
    assert code != 0
    assert "Traceback" not in said + log
    assert f"{EFFECTS}, row {row}, column estimate: the interval excludes its estimate" in said + log


def test_clean_data_of_published_studies_are_refused(checkout):
    code, said = checkout.snakemake("data", "--config", "cohort=evidence", check=False)
    assert code != 0
    assert "Traceback" not in said
    assert "published studies are neither cleaned nor brought into ADaM" in said
