"""What a user reads after a mistake: one clear message, no traceback, an exit code that is not 0."""

import shutil

import pytest
import yaml

from tests.checkout import copy_of_repository

pytestmark = [pytest.mark.workflow, pytest.mark.slow]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout whose six exports are simulated and nothing more."""
    made = copy_of_repository(tmp_path_factory.mktemp("bad") / "repository", screened=60)
    made.snakemake("results/synthetic/validation/truth.parquet")
    return made


@pytest.fixture
def broken(checkout, tmp_path):
    """A copy of that checkout to break."""
    shutil.copytree(checkout.folder, tmp_path / "copy")
    return type(checkout)(tmp_path / "copy")


def fails(checkout, *arguments):
    code, said = checkout.snakemake(*arguments, check=False)
    assert code != 0
    assert "Traceback" not in said, said
    return said


def test_misspelled_configuration_key(broken):
    path = broken.folder / "config/config.yaml"
    path.write_text(path.read_text().replace("seed:", "sead:"))
    said = fails(broken, "data")
    assert "config/config.yaml: sead: there is no such key" in said
    assert "did you mean 'seed'?" in said


def test_unknown_cohort_on_the_command_line(broken):
    said = fails(broken, "analysis", "--config", "cohort=hcc_resektion")
    assert "did you mean 'hcc_resection'?" in said
    assert "common.smk" not in said, "where Snakemake noticed it helps nobody"


def test_paper_of_a_cohort_without_treatment(broken):
    said = fails(broken, "paper", "--config", "cohort=hcc_resection")
    assert "has no treatment arm" in said
    assert "data, analysis, notebooks and figures work" in said


def test_unknown_figure_is_told_before_any_job_runs(broken):
    path = broken.folder / "config/cohorts/hcc_resection/cohort.yaml"
    path.write_text(path.read_text().replace("km_prognostic", "km_prognosis"))
    said = fails(broken, "analysis", "--config", "cohort=hcc_resection")
    assert "config/cohorts/hcc_resection/cohort.yaml: figures: there is no figure of this name" in said
    assert "did you mean 'km_prognostic'?" in said
    assert "localrule" not in said


def own_cohort(checkout):
    """Make a user's cohort `mine` of the simulated exports, which no rule makes."""
    shutil.copytree(checkout.folder / "config/cohorts/synthetic", checkout.folder / "config/cohorts/mine")
    (checkout.folder / "config/cohorts/mine/simulation.yaml").unlink()
    path = checkout.folder / "config/cohorts/mine/cohort.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["raw"] = "data/raw/mine"
    path.write_text(yaml.safe_dump(config))
    shutil.copytree(checkout.folder / "data/raw/synthetic", checkout.folder / "data/raw/mine")


def test_missing_site_file(broken):
    own_cohort(broken)
    (broken.folder / "data/raw/mine/fr01/labs.csv").unlink(missing_ok=True)
    missing = next((broken.folder / "data/raw/mine/fr01").glob("*.csv"))
    missing.unlink()
    said = fails(broken, "data", "--config", "cohort=mine")
    assert f"data/raw/mine/fr01/{missing.name}: the file does not exist" in said
    assert "config/cohorts/mine/sites/fr01.yaml" in said


def test_missing_column(broken):
    own_cohort(broken)
    site = yaml.safe_load((broken.folder / "config/cohorts/mine/sites/us01.yaml").read_text(encoding="utf-8"))
    name = site["tables"]["patients"]["file"]
    sex = site["tables"]["patients"]["columns"]["sex"]
    header = sex if isinstance(sex, str) else sex["column"]
    path = broken.folder / "data/raw/mine/us01" / name
    head, rest = path.read_bytes().split(b"\n", 1)
    path.write_bytes(
        head.replace(header.encode(site["encoding"].replace("-sig", "")), b"Gender_at_birth") + b"\n" + rest
    )
    said = fails(broken, "data", "--config", "cohort=mine")
    assert f"us01/{name}" in said
    assert header in said
    assert "Gender_at_birth" in said


def test_unknown_unit_in_the_configuration(broken):
    path = broken.folder / "config/cohorts/synthetic/sites/jp01.yaml"
    site = yaml.safe_load(path.read_text(encoding="utf-8"))
    next(iter(site["tables"]["labs"]["wide_tests"].values()))["unit"] = "g/gallon"
    path.write_text(yaml.safe_dump(site, allow_unicode=True), encoding="utf-8")
    said = fails(broken, "data")
    assert "g/gallon" in said
    assert "jp01" in said


def test_unparsable_date_is_quarantined_with_its_origin(broken):
    import pandas as pd

    own_cohort(broken)  # what the workflow simulates is sealed: an edit of it is refused
    site = yaml.safe_load((broken.folder / "config/cohorts/mine/sites/us01.yaml").read_text(encoding="utf-8"))
    table = site["tables"]["ablations"]
    column = table["columns"]["ablation_date"]
    header = column if isinstance(column, str) else column["column"]
    path = broken.folder / "data/raw/mine/us01" / table["file"]
    lines = path.read_bytes().split(b"\n")
    position = [cell.strip(b'"\r').decode(site["encoding"]).lstrip("\ufeff") for cell in lines[0].split(b",")].index(
        header
    )
    cells = lines[3].split(b",")
    cells[position] = b"soon after lunch"
    lines[3] = b",".join(cells)
    path.write_bytes(b"\n".join(lines))
    broken.snakemake("results/mine/ingest/us01/quarantine.parquet", "--config", "cohort=mine")
    quarantine = pd.read_parquet(broken.folder / "results/mine/ingest/us01/quarantine.parquet")
    (row,) = quarantine[quarantine["value"] == "soon after lunch"].to_dict("records")
    assert (row["file"].split("/")[-1], row["row"], row["column"]) == (table["file"], 4, header)
    assert row["rule"] == "unparsable_date"
