"""Configuration: what a person who makes a mistake gets to read."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sorafenib_rfa.config.load import load_plan, load_study
from sorafenib_rfa.config.paths import adam_datasets, missing_raw_files, raw_paths, require_patients, require_treatment
from sorafenib_rfa.errors import ConfigError, InputError, NotOfferedError
from sorafenib_rfa.vocabulary import EVIDENCE_PARTS, FIGURES, TABLES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def root(tmp_path):
    for folder in ("config", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


def edit(path, change):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")


def problems(root, **overrides):
    with pytest.raises(ConfigError) as caught:
        content = yaml.safe_load((root / "config/config.yaml").read_text()) | overrides
        load_study(root, content)
    return caught.value.problems


def test_the_configuration_of_the_repository_is_valid():
    study = load_study(ROOT)
    assert set(study.cohorts) == {"synthetic", "hcc_resection", "evidence"}
    assert not study.cohorts["evidence"].sites  # its rows are studies
    assert len(study.cohorts["synthetic"].sites) == 6


def test_misspelled_key_names_file_key_and_nearest(root):
    (problem,) = problems(root, sed=1)
    assert (problem.file, problem.hint) == ("config/config.yaml", "did you mean 'seed'?")
    assert "sed: there is no such key" in problem.message


def test_nested_misspelled_key_is_named_with_its_path(root):
    site = root / "config/cohorts/synthetic/sites/fr01.yaml"
    edit(site, lambda c: c["tables"]["patients"].__setitem__("colums", {}))
    (problem,) = problems(root)
    assert problem.file == "config/cohorts/synthetic/sites/fr01.yaml"
    assert "tables.patients.colums" in problem.message


def test_all_problems_of_all_files_are_reported_at_once(root):
    edit(root / "config/plan.yaml", lambda c: c.pop("landmark_day"))
    edit(root / "config/cohorts/hcc_resection/cohort.yaml", lambda c: c.__setitem__("time_unit", "weeks"))
    found = problems(root, seed="many")
    assert {problem.file for problem in found} == {
        "config/config.yaml",
        "config/plan.yaml",
        "config/cohorts/hcc_resection/cohort.yaml",
    }
    assert any(problem.found == "'weeks'" and "'days' or 'months'" in problem.expected for problem in found)


def test_unknown_cohort_suggests_the_nearest(root):
    (problem,) = problems(root, cohort="sinthetic")
    assert problem.hint == "did you mean 'synthetic'?"


def test_plan_that_names_an_undeclared_covariate(root):
    edit(root / "config/plan.yaml", lambda c: c["adjustment_set"].append("MELD"))
    (problem,) = problems(root)
    assert "MELD" in str(problem)


@pytest.mark.parametrize(
    ("key", "written", "nearest"),
    [("figures", "km_rsf", "km_rfs"), ("tables", "safty", "safety"), ("notebooks", "efficasy", "efficacy")],
)
def test_unknown_exhibit_is_told_before_anything_runs(root, key, written, nearest):
    edit(root / "config/cohorts/synthetic/cohort.yaml", lambda c: c[key].append(written))
    (problem,) = problems(root)
    assert problem.file == "config/cohorts/synthetic/cohort.yaml"
    assert f"no {key.removesuffix('s')} of this name" in problem.message
    assert (problem.found, problem.hint) == (repr(written), f"did you mean {nearest!r}?")


def test_exhibit_that_the_cohort_cannot_fill(root):
    edit(root / "config/cohorts/hcc_resection/cohort.yaml", lambda c: c["figures"].append("love"))
    (problem,) = problems(root)
    assert "the cohort lacks what 'love' shows" in problem.message
    assert problem.expected == "one of flow, km_prognostic, cif_prognostic, calibration"


def test_every_figure_and_table_of_the_vocabulary_can_be_made():
    from sorafenib_rfa.exhibits.draw import _drawer
    from sorafenib_rfa.exhibits.tables import _MAKERS, _of_studies, _of_validation

    of_studies = {name for name, part in TABLES.items() if part in EVIDENCE_PARTS}
    of_validation = {name for name, part in TABLES.items() if part == "validation"}
    assert set(TABLES) - of_studies - of_validation == set(_MAKERS)
    assert all(callable(_of_studies(name)) for name in of_studies)
    assert all(callable(_of_validation(name)) for name in of_validation)
    assert all(callable(_drawer(name)) for name in FIGURES)


SITE = "config/cohorts/synthetic/sites/fr01.yaml"


@pytest.mark.parametrize(
    ("old", "new", "message", "found", "expected"),
    [
        ('{"Oui": "Y", "Non": "N"}', "{yes: Y, no: N}", "antiviral.values: keys", "True, False", "in quotes"),
        ("country: FR", "country: NO", "country: this value", "False", "text"),
        ('ecog: "OMS"', "ecog: 5", "columns.ecog: this value", "5", "text or a map of keys"),
        ('ecog: "OMS"', "ecog: {unit: cm}", "columns.ecog.column: this key is required", "nothing", "column"),
        ('values: {"Homme"', 'valeus: {"Homme"', "columns.sex.valeus: there is no", "'valeus'", "values, date_formats"),
        ("  imaging:", "  images:", "tables: there is no such key", "'images'", "'imaging'"),
    ],
)
def test_each_mistake_is_one_problem_in_the_words_of_the_file(root, old, new, message, found, expected):
    path = root / SITE
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    (problem,) = problems(root)
    assert problem.file == SITE
    assert message in problem.message
    assert problem.found == found
    assert expected in problem.expected


def test_truth_values_of_yaml_are_explained(root):
    path = root / SITE
    path.write_text(path.read_text(encoding="utf-8").replace('"Oui": "Y", "Non": "N"', "yes: Y, no: N"))
    found = problems(root)
    assert all("write them in quotes" in problem.hint for problem in found)
    assert len(found) == len({problem.message for problem in found})


def test_tab_in_yaml_is_explained(root):
    path = root / SITE
    path.write_text(path.read_text(encoding="utf-8").replace("    file: imagerie", "\tfile: imagerie"))
    (problem,) = problems(root)
    assert problem.row == path.read_text().split("imagerie")[0].count("\n") + 1
    assert "spaces" in problem.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: '1'\nversion: '2'\n", "written twice"),
        ("version: [1\n", "not valid YAML"),
        ("- a\n", "mapping of keys"),
        ("", "mapping of keys"),
    ],
)
def test_broken_yaml_names_file(root, text, message):
    (root / "config/plan.yaml").write_text(text)
    (problem,) = problems(root)
    assert problem.file == "config/plan.yaml"
    assert message in str(problem)


def test_yaml_cannot_run_code(root):
    (root / "config/plan.yaml").write_text("version: !!python/object/apply:os.system ['echo hacked']\n")
    (problem,) = problems(root)
    assert "not valid YAML" in problem.message


def test_missing_site_file_says_what_lies_there_instead(root):
    study = load_study(root)
    folder = root / "data/public/hcc_resection"
    folder.mkdir(parents=True)
    (folder / "hcc.csv").write_text("x\n")
    with pytest.raises(InputError) as caught:
        missing_raw_files(study, made_by_workflow={"synthetic", "evidence"})
    (problem,) = caught.value.problems
    assert problem.file == "data/public/hcc_resection/hcc_resection.csv"
    assert "hcc.csv" in problem.found


def test_folder_in_place_of_a_site_file(root):
    study = load_study(root)
    (root / "data/public/hcc_resection/hcc_resection.csv").mkdir(parents=True)
    with pytest.raises(InputError, match=r"hcc_resection\.csv: this is a folder, not a file"):
        missing_raw_files(study, made_by_workflow={"synthetic"})


def test_raw_files_of_the_real_cohort_are_in_the_repository():
    study = load_study(ROOT)
    missing_raw_files(study, made_by_workflow={"synthetic"})
    (site,) = study.cohorts["hcc_resection"].sites
    assert raw_paths(study.cohorts["hcc_resection"], site) == ["data/public/hcc_resection/hcc_resection.csv"]


def test_a_cohort_offers_what_its_modules_say():
    study = load_study(ROOT)
    assert adam_datasets(study.cohorts["hcc_resection"].config) == ["adsl", "adtte"]
    assert adam_datasets(study.cohorts["synthetic"].config) == [
        "adsl",
        "adtte",
        "adae",
        "adlb",
        "adex",
        "adrecur",
        "adproc",
        "adtum",
    ]
    require_treatment(study.cohorts["synthetic"])
    with pytest.raises(NotOfferedError, match="no treatment arm"):
        require_treatment(study.cohorts["hcc_resection"])
    trial = load_study(ROOT, {"cohort": "colon_adjuvant", "seed": 1, "publication_date": "2024-01-01"})
    with pytest.raises(NotOfferedError, match="compares the arms of another trial"):
        require_treatment(trial.cohorts["colon_adjuvant"])


def test_schemas_and_key_tables_are_those_of_the_models():
    done = subprocess.run(
        [sys.executable, "-m", "sorafenib_rfa.config.schema", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# --- the analysis plan of a cohort ---------------------------------------------------------------------------------

OWN_PLAN = "config/cohorts/synthetic/plan.yaml"


def test_a_cohorts_plan_replaces_keys_as_a_whole_and_leaves_the_others(root):
    study = load_plan(root, "synthetic", None)
    whole = {"cut_months": [9], "spline_knots": 3, "at_months": [6]}
    (root / OWN_PLAN).write_text(yaml.safe_dump({"effect_over_time": whole, "landmark_day": 30}))
    own = load_plan(root, "synthetic", None)
    assert own.effect_over_time.model_dump(mode="json") == whole
    assert own.landmark_day == 30
    changed = {"effect_over_time", "landmark_day"}
    assert own.model_dump(exclude=changed) == study.model_dump(exclude=changed)
    assert load_plan(root, "hcc_resection", None) == study


def test_keys_within_a_replaced_key_are_not_taken_from_the_study(root):
    (root / OWN_PLAN).write_text(yaml.safe_dump({"effect_over_time": {"cut_months": [9]}}))
    found = problems(root)
    assert {problem.file for problem in found} == {OWN_PLAN}
    assert {problem.message.split(":")[0] for problem in found} == {
        "effect_over_time.spline_knots",
        "effect_over_time.at_months",
    }


@pytest.mark.parametrize(
    ("written", "key", "hint"),
    [
        ({"landmark_day": "soon"}, "landmark_day", None),
        ({"landmark": 30}, "landmark", "did you mean 'landmark_day'?"),
    ],
)
def test_a_fault_in_a_cohorts_plan_names_that_file_and_key(root, written, key, hint):
    (root / OWN_PLAN).write_text(yaml.safe_dump(written))
    (problem,) = problems(root)
    assert problem.file == OWN_PLAN
    assert problem.message.startswith(f"{key}:")
    assert problem.hint == hint


def test_a_fault_in_the_studys_plan_is_not_blamed_on_the_cohorts(root):
    (root / OWN_PLAN).write_text(yaml.safe_dump({"landmark_day": 30}))
    edit(root / "config/plan.yaml", lambda c: c.__setitem__("small_group", "few"))
    (problem,) = problems(root)
    assert problem.file == "config/plan.yaml"
    assert problem.message.startswith("small_group:")


def test_a_cohorts_plan_that_is_no_mapping(root):
    (root / OWN_PLAN).write_text("- landmark_day\n")
    (problem,) = problems(root)
    assert (problem.file, problem.message) == (OWN_PLAN, "the file must be a mapping of keys")


@pytest.mark.parametrize("key", ["sensitivity", "benefit_risk"])
def test_arms_by_exposure_need_keys_of_the_plan_that_other_cohorts_do_not(root, key):
    (root / OWN_PLAN).write_text(yaml.safe_dump({key: None}))
    (problem,) = problems(root)
    assert problem.file == OWN_PLAN
    assert problem.message.startswith(f"{key}: this key is required for a cohort whose arms are formed by exposure")
    (root / OWN_PLAN).rename(root / "config/cohorts/hcc_resection/plan.yaml")
    content = yaml.safe_load((root / "config/config.yaml").read_text())
    assert getattr(load_study(root, content).plans["hcc_resection"], key) is None


# --- published evidence: a cohort of studies ---

EVIDENCE = "config/cohorts/evidence/cohort.yaml"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("modules", ["published_effects", "labs"], "published_effects stands alone: studies are no patients"),
        ("synthetic", True, "nothing simulated is published evidence"),
        ("eligibility", [{"id": "adult", "rule": "minimum_age", "label": "Young"}], "steps select patients"),
    ],
)
def test_published_studies_are_not_configured_as_patients(root, key, value, said):
    edit(root / EVIDENCE, lambda content: content.__setitem__(key, value))
    found = problems(root, supplement_cohorts=["evidence"])
    assert any(problem.file == EVIDENCE and said in problem.message for problem in found), found


def test_published_studies_have_no_sites(root):
    site = root / "config/cohorts/evidence/sites"
    site.mkdir()
    shutil.copy(root / "config/cohorts/hcc_resection/sites/single_centre.yaml", site / "single_centre.yaml")
    (problem,) = problems(root, supplement_cohorts=["evidence"])
    assert problem.file == "config/cohorts/evidence/sites/"
    assert problem.found == "single_centre"


def test_the_same_studies_are_not_pooled_under_two_names(root):
    def twice(content):
        content["evidence"]["syntheses"]["again"] = content["evidence"]["syntheses"]["adjuvant_rfs"]

    edit(root / "config/cohorts/evidence/plan.yaml", twice)
    (problem,) = problems(root, supplement_cohorts=["evidence"])
    assert problem.file == "config/cohorts/evidence/plan.yaml"
    assert "syntheses.again: pools the same studies as syntheses.adjuvant_rfs" in problem.message


def test_a_missing_table_of_studies_is_named(root):
    study = load_study(root, yaml.safe_load((root / "config/config.yaml").read_text()))
    with pytest.raises(InputError) as caught:
        missing_raw_files(study, made_by_workflow={"synthetic", "hcc_resection"})
    assert "data/evidence/effects.csv" in [problem.file for problem in caught.value.problems]


def test_clean_data_of_studies_are_refused_in_words():
    with pytest.raises(NotOfferedError, match="neither cleaned nor brought into ADaM"):
        require_patients(load_study(ROOT).cohorts["evidence"])
