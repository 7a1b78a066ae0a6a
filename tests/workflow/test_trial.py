"""The cohort whose raw file the workflow writes from an installed package."""

import shutil

import pandas as pd
import pytest

from tests.checkout import copy_of_repository, planned_jobs

pytestmark = pytest.mark.workflow
COHORT = ("--config", "cohort=colon_adjuvant")
RAW = "data/raw/colon_adjuvant/colon.csv"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    return copy_of_repository(tmp_path_factory.mktemp("trial") / "repository", screened=150)


def test_without_the_package_the_job_says_where_it_is(checkout):
    hidden = checkout.folder / "src/survival/__init__.py"
    hidden.parent.mkdir()
    hidden.write_text('raise ImportError("not installed")\n')
    try:
        code, said = checkout.snakemake("data", *COHORT, check=False)
    finally:
        shutil.rmtree(hidden.parent)  # with what Python may have cached there
    assert code != 0
    assert f"{RAW}: the data of the colon cancer trial come with the Python package 'survival'" in said
    assert "make environment-dev" in said
    assert "Traceback" not in said
    assert not (checkout.folder / RAW).exists()


def test_from_the_package_to_adam_and_then_nothing_to_do(checkout):
    checkout.snakemake("data", *COHORT)
    assert len((checkout.folder / RAW).read_text().splitlines()) == 930
    adsl = pd.read_parquet(checkout.folder / "results/colon_adjuvant/adam/adsl.parquet")
    assert adsl["TRT01A"].value_counts().to_dict() == {"Observation": 315, "Levamisole + 5-FU": 304}
    _, said = checkout.snakemake("data", *COHORT, "--dry-run")
    assert planned_jobs(said) == []


def test_the_trial_is_analysed_by_the_rules_of_the_main_cohort(checkout):
    _, said = checkout.snakemake("analysis", "figures", *COHORT, "--dry-run", "--quiet", "host")
    rules = {job.split()[0] for job in planned_jobs(said)}
    assert {
        "estimate_flow",
        "estimate_baseline",
        "estimate_efficacy",
        "estimate_subgroups",
        "draw_figures_of_colon_adjuvant",
    } <= rules
    # what is about exposure after time zero, or about drugs and ablations, is not asked of a trial without them
    assert not rules & {"estimate_target_trial", "estimate_sensitivity", "estimate_safety", "estimate_repeat_rfa"}
