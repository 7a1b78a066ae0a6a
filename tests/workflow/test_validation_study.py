"""The validation study through Snakemake: divided otherwise it has the same bytes; stored, it holds or it stops."""

import sys

import pytest

from tests.checkout import copy_of_repository, edit_yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
PLAN = {
    "seed": 3,
    "scenarios": ["waning"],
    "estimators": ["landmark_unadjusted", "naive"],
    "sizes": {150: 3},
    "replicates": 4,
    "resamples": 50,
    "truth_screened": 1000,
}
ASKED = ("validation_study", "--config", "validation_plan=small")
RESULT = "results/synthetic/validation/study/small"
TABLE, INTERVALS = "performance.csv", "intervals.parquet"


def declare(checkout, **changes):
    edit_yaml(checkout.folder / "config/validation.yaml", lambda content: content["plans"].update(small=PLAN | changes))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in which a small plan of the study has run, four cohorts in jobs of three."""
    made = copy_of_repository(tmp_path_factory.mktemp("study") / "repository", screened=60)
    declare(made)
    made.snakemake(*ASKED, "--cores", "2")
    return made


def result(checkout):
    return [(checkout.folder / RESULT / name).read_bytes() for name in (TABLE, INTERVALS)]


def store(checkout, *arguments, check=True):
    return checkout.run(sys.executable, "-m", "sorafenib_rfa.validation.store", *arguments, check=check)


def test_a_stored_study_holds_until_a_digit_is_changed(checkout):
    _, said = store(checkout, "--plan", "small")
    assert "4 cohorts, 8 fits" in said
    for stored, name in (("study.csv", TABLE), ("study_intervals.parquet", INTERVALS)):
        assert (checkout.folder / "validation" / stored).read_bytes() == (checkout.folder / RESULT / name).read_bytes()
    _, said = store(checkout, "--check", "--cohorts", "2")
    assert "2 cohorts recomputed: all estimates and standard errors as stored" in said
    assert "code unchanged since" in said
    # a paper of another plan does not show it
    declare(checkout, replicates=5)
    code, said = store(checkout, "--check", check=False)
    assert code == 1
    assert "another plan of the study (replicates 4, declared 5)" in said
    declare(checkout)
    path = checkout.folder / "validation/study.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("landmark_unadjusted", "landmark_adjusted"), "utf-8")
    code, said = store(checkout, "--check", check=False)
    assert code == 1
    assert "validation/study.csv: the stored validation study is not what its seal says" in said
    assert "Traceback" not in said


def test_a_result_that_is_not_what_its_job_made_is_not_stored(checkout):
    path = checkout.folder / RESULT / TABLE
    kept = path.read_bytes()
    path.write_bytes(kept.replace(b"waning", b"warning", 1))
    code, said = store(checkout, "--plan", "small", check=False)
    path.write_bytes(kept)
    assert code == 1
    assert f"{RESULT}/{TABLE}: not what its job recorded" in said
    code, said = store(checkout, "--plan", "default", check=False)
    assert code == 1
    assert "33 jobs of the validation study have not run" in said


def test_other_jobs_make_the_same_bytes(checkout):
    """Cohorts one by one instead of three in a job; what is true of the scenario is not computed again."""
    before = result(checkout)
    declare(checkout, sizes={150: 1})
    planned = checkout.planned(*ASKED)
    assert [job for job in planned if job.startswith("study_")] == [
        *(f"study_estimates small waning 150 {chunk}" for chunk in range(4)),
        "study_performance small",
    ]
    checkout.snakemake(*ASKED, "--cores", "2")
    assert result(checkout) == before
    # one cohort more is one job more
    declare(checkout, sizes={150: 1}, replicates=5)
    planned = checkout.planned(*ASKED)
    assert [job for job in planned if job.startswith("study_")] == [
        "study_estimates small waning 150 4",
        "study_performance small",
    ]


def test_a_plan_that_is_not_there_is_named(checkout):
    code, said = checkout.snakemake("validation_study", "--dry-run", "--config", "validation_plan=larger", check=False)
    assert code != 0
    assert "there is no such plan of the validation study" in said
    assert "default, ten_million, small" in said
    assert "Traceback" not in said
