"""Configuration keys and the names code uses: where a key stands, which job is handed it, which code can read it."""

import json
from pathlib import Path

import pytest
import yaml

from sorafenib_rfa.provenance.config_keys import (
    ABSENT,
    all_keys,
    differences,
    find_key,
    key_of_parameter,
    parameters_of_key,
    place_of_parameter,
)
from sorafenib_rfa.provenance.names import Names

ROOT = Path(__file__).resolve().parents[2]


def written_line(file, line):
    return (ROOT / file).read_text(encoding="utf-8").splitlines()[line - 1].strip()


@pytest.mark.parametrize(
    ("key", "begins"),
    [
        ("plan.landmark_day", "landmark_day:"),
        ("plan.sensitivity.imputations", "imputations:"),
        ("run.seed", "seed:"),
        ("seed", "seed:"),
        ("cohorts.synthetic.data_cutoff", "data_cutoff:"),
        ("cohorts.synthetic.sites.cn01.encoding", "encoding:"),
        ("cohorts.synthetic.simulation.accrual.first_day", "first_day:"),
        ("cohorts.colon_adjuvant.plan.landmark_day", "landmark_day:"),
        ("validation.plans.default.replicates", "replicates:"),
        ("cohorts.synthetic.eligibility.1", "- {id: adult"),
        ("plan.subgroups.RECURHCC.levels.Primary HCC", "Primary HCC:"),
    ],
)
def test_a_key_is_found_in_its_file_and_line(key, begins):
    place = find_key(ROOT, key)
    assert written_line(place.file, place.line).startswith(begins)


def test_the_value_of_a_key_is_what_the_file_says():
    assert (
        find_key(ROOT, "plan.landmark_day").value
        == yaml.safe_load((ROOT / "config/plan.yaml").read_text())["landmark_day"]
    )
    assert find_key(ROOT, "plan.landmark_dya") is None
    assert find_key(ROOT, "cohorts.nowhere.title") is None


def test_every_key_that_is_offered_as_a_guess_can_be_found():
    assert [key for key in all_keys(ROOT) if find_key(ROOT, key) is None] == []


@pytest.mark.parametrize(
    ("name", "path", "cohort", "wildcards", "expected"),
    [
        ("plan.landmark_day", ("landmark_day",), "synthetic", {}, ["plan.landmark_day"]),
        # the cohort's own plan replaces this key, and does not replace that one
        ("plan.landmark_day", ("landmark_day",), "colon_adjuvant", {}, []),
        ("plan.trim_scores", ("trim_scores",), "colon_adjuvant", {}, ["plan.trim_scores"]),
        (
            "cohorts.synthetic.sites.cn01.title",
            ("title",),
            "synthetic",
            {"site": "cn01"},
            ["site_config.title", "sites.cn01.title"],
        ),
        ("cohorts.synthetic.sites.cn01.title", ("title",), "synthetic", {"site": "cn02"}, ["sites.cn01.title"]),
        ("cohorts.synthetic.sites.cn01.encoding", ("encoding",), "synthetic", {"site": "cn02"}, []),
        ("cohorts.synthetic.sites.cn01.title", ("title",), "hcc_resection", {}, []),
        ("run.publication_date", ("publication_date",), "synthetic", {}, ["source_date_epoch"]),
        ("cohorts.synthetic.title", ("title",), "synthetic", {}, ["cohort_config.title"]),
        ("cohorts.synthetic.title", ("title",), "hcc_resection", {}, []),
    ],
)
def test_a_key_reaches_the_parameters_that_hold_it(name, path, cohort, wildcards, expected):
    params = {
        "seed": 1,
        "source_date_epoch": 2,
        "plan": {"landmark_day": 60, "trim_scores": [0.1, 0.9]},
        "cohort_config": {"title": "t"},
        "sites": {"cn01": {"title": "c"}},
        "site_config": {"title": "c", "encoding": "utf-8"},
    }
    assert parameters_of_key(ROOT, name, path, cohort, wildcards, params) == expected


def test_a_parameter_leads_back_to_its_key_and_line():
    assert (
        key_of_parameter("synthetic", {"site": "fr01"}, "site_config.decimal") == "cohorts.synthetic.sites.fr01.decimal"
    )
    assert key_of_parameter("synthetic", {}, "source_date_epoch") == "run.publication_date"
    assert key_of_parameter("synthetic", {}, "screened") is None
    place = place_of_parameter(ROOT, "colon_adjuvant", {}, "plan.landmark_day")
    assert place.file == "config/cohorts/colon_adjuvant/plan.yaml"
    place = place_of_parameter(ROOT, "synthetic", {}, "plan.landmark_day")
    assert (place.file, written_line(place.file, place.line)[:12]) == ("config/plan.yaml", "landmark_day")


def test_differences_name_the_key_that_changed():
    before = {"plan": {"landmark_day": 60, "set": ["A", "B"], "steps": [{"id": "x", "n": 1}]}, "gone": 1}
    after = {"plan": {"landmark_day": 30, "set": ["A"], "steps": [{"id": "x", "n": 2}]}, "new": None}
    assert differences(before, after) == [
        ("gone", 1, ABSENT),
        ("new", ABSENT, None),
        ("plan.landmark_day", 60, 30),
        ("plan.set", ["A", "B"], ["A"]),
        ("plan.steps.0.n", 1, 2),
    ]
    assert differences({"months": 36}, {"months": 36.0}) == []
    assert differences({"flag": 1}, {"flag": True}) == [("flag", 1, True)]


@pytest.fixture
def code(tmp_path):
    """A package whose modules read a plan in every way code can."""
    package = tmp_path / "src/sorafenib_rfa"
    (package / "config").mkdir(parents=True)
    files = {
        "config/models.py": "class Plan:\n    grace: int\n\n    def both(self):\n        return self.grace\n",
        "attribute.py": "'''Says grace in words.'''\ndef f(plan):\n    # grace\n    return plan.grace\n",
        "text.py": "def f(plan):\n    return getattr(plan, 'grace')\n",
        "argument.py": "def f(plan):\n    return plan.copy(grace=1)\n",
        "through.py": "def f(plan):\n    return plan.both()\n",
        "whole.py": "def f(plan):\n    return plan.model_dump()\n",
        "nothing.py": "def f(plan):\n    graceful = 'with grace'\n    return graceful\n",
    }
    for name, content in files.items():
        (package / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("module", "line"),
    [("attribute", 4), ("text", 2), ("argument", 2), ("through", 2), ("whole", 2), ("nothing", None)],
)
def test_code_names_a_key_in_every_way_in_which_it_can_read_it(code, module, line):
    path = f"src/sorafenib_rfa/{module}.py"
    files = ["src/sorafenib_rfa/config/models.py", path]
    assert Names(code).uses(files, "grace") == (f"{path}:{line}" if line else None)


def test_the_code_of_a_notebook_counts_and_its_prose_does_not(code):
    cells = [
        {"cell_type": "markdown", "source": ["plan.hidden"]},
        {"cell_type": "code", "source": ["x = 1\n", "plan.grace\n"]},
    ]
    (code / "story.ipynb").write_text(json.dumps({"cells": cells}))
    assert Names(code).uses(["story.ipynb"], "grace") == "story.ipynb:2"
    assert Names(code).uses(["story.ipynb"], "hidden") is None


def test_a_method_counts_only_for_the_keys_it_reads(code):
    assert Names(code).uses(["src/sorafenib_rfa/through.py"], "hidden") is None


def test_the_validation_study_has_parameters_of_its_own():
    """A job's seed and number of cohorts come from its plan of the study, not from the run."""
    wildcards = {"study": "default", "screened": "300"}
    params = {"seed": 1, "cohorts": [0, 10], "study": {"resamples": 100}, "plan": {"landmark_day": 60}}
    assert key_of_parameter("synthetic", wildcards, "seed") == "validation.plans.default.seed"
    assert key_of_parameter("synthetic", wildcards, "cohorts.1") == "validation.plans.default.sizes.300"
    assert key_of_parameter("synthetic", wildcards, "study.resamples") == "validation.plans.default.resamples"
    assert find_key(ROOT, "validation.plans.default.sizes.300").value == 1000
    for dotted, expected in (
        ("validation.plans.default.resamples", ["study.resamples"]),
        ("validation.plans.ten_million.resamples", []),
        ("run.seed", []),
    ):
        place = find_key(ROOT, dotted)
        if place is None:  # a key with its default is not written
            continue
        assert parameters_of_key(ROOT, place.name, place.path, "synthetic", wildcards, params) == expected, dotted
