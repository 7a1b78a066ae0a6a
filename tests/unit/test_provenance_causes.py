"""What changed a number is found in the lineage of its job, and only what got through to it."""

import copy

import pytest

from sorafenib_rfa.provenance.causes import causes_of
from sorafenib_rfa.records.record import Record, Records, seal_of


def job(rule, inputs, outputs, params=None, code="same", version="1.0"):
    """Return the content of a record; inputs and outputs are path -> digest."""
    content = {
        "format": 2,
        "rule": rule,
        "wildcards": {"cohort": "c"},
        "cohort": "c",
        "inputs": [{"path": p, "sha256": d, "bytes": 1, "made_by": None} for p, d in inputs.items()],
        "outputs": [{"path": p, "sha256": d, "bytes": 1} for p, d in outputs.items()],
        "params": params or {},
        "seed": 1,
        "code": {"digest": code, "files": {f"workflow/scripts/{rule}.py": {"identity": code, "sha256": code}}},
        "environment": {"python": "3.11.7", "distributions": {"numpy": version}},
    }
    return content | {"seal": seal_of(content)}


def path_of(rule):
    return f"results/c/records/{rule}/c.json"


def records(*jobs):
    return Records(Record(path_of(each["rule"]), each) for each in jobs)


BEFORE = (
    job("ingest", {"data/a.csv": "a1", "data/b.csv": "b1"}, {"i1": "i1", "i2": "i2"}),
    job("clean", {"i1": "i1", "i2": "i2"}, {"k": "k1"}, {"plan": {"days": 60, "labs": ["ALB", "BILI"]}}),
    job("fit", {"k": "k1"}, {"ard": "r1"}, {"plan": {"resamples": 2000}}),
)


def changed(*edits):
    """Return the jobs after edits of (rule, edit)."""
    jobs = copy.deepcopy(list(BEFORE))
    for rule, edit in edits:
        edit(next(each for each in jobs if each["rule"] == rule))
    for each in jobs:
        each["seal"] = seal_of(each)
    return records(*jobs)


def sets(path, value):
    def edit(content):
        *keys, last = path
        for key in keys:
            content = content[key]
        content[last] = value

    return edit


def causes(*edits):
    found = causes_of(records(*BEFORE), changed(*edits), path_of("fit"))
    return [(c.kind, c.name, c.before, c.after) for c in found]


def test_nothing_changed_has_no_cause():
    assert causes() == []


def test_a_parameter_of_the_job_itself():
    edit = ("fit", sets(["params", "plan", "resamples"], 300))
    assert causes(edit) == [("parameter", "plan.resamples", "2000", "300")]


def test_a_raw_file_far_upstream_is_reached_through_inputs_that_differ():
    found = causes(
        ("ingest", sets(["inputs", 0, "sha256"], "a2")),
        ("ingest", sets(["outputs", 0, "sha256"], "i1b")),
        ("clean", sets(["inputs", 0, "sha256"], "i1b")),
        ("clean", sets(["outputs", 0, "sha256"], "k2")),
        ("fit", sets(["inputs", 0, "sha256"], "k2")),
    )
    assert found == [("data", "data/a.csv", "a1", "a2")]


def test_a_change_that_did_not_get_through_is_no_cause():
    # the raw file changed and so did its table, but what was made from it did not
    found = causes(
        ("ingest", sets(["inputs", 0, "sha256"], "a2")),
        ("ingest", sets(["outputs", 0, "sha256"], "i1b")),
        ("clean", sets(["inputs", 0, "sha256"], "i1b")),
        ("fit", sets(["params", "plan", "resamples"], 300)),
    )
    assert found == [("parameter", "plan.resamples", "2000", "300")]


def test_code_and_packages_with_their_versions():
    found = causes(
        ("fit", sets(["code", "files", "workflow/scripts/fit.py"], {"identity": "new", "sha256": "new"})),
        ("fit", sets(["environment", "distributions", "numpy"], "2.0")),
    )
    assert found == [("code", "workflow/scripts/fit.py", "same", "new"), ("software", "numpy", "1.0", "2.0")]


def test_comments_are_no_cause():
    edit = ("fit", sets(["code", "files", "workflow/scripts/fit.py"], {"identity": "same", "sha256": "other bytes"}))
    assert causes(edit) == []


def test_the_same_bytes_under_another_python_are_no_cause():
    edit = ("fit", sets(["code", "files", "workflow/scripts/fit.py", "identity"], "as Python 3.13 writes the tree"))
    assert causes(edit) == []


def test_the_lines_that_changed_are_counted_from_the_code_as_it_ran():
    new = changed(("fit", sets(["code", "files", "workflow/scripts/fit.py"], {"identity": "n", "sha256": "n"})))
    texts = {"same": b"a\nb\nc\n", "n": b"a\nB\nc\nd\n"}

    def text(record, path, sha256):
        return texts[sha256]

    (cause,) = causes_of(records(*BEFORE), new, path_of("fit"), (text, text))
    assert cause.detail == "+2 -1 lines"


def test_a_result_edited_by_hand_between_two_jobs_is_told_as_such():
    # clean recorded the same in both; what fit read is something else
    found = causes(("fit", sets(["inputs", 0, "sha256"], "edited")))
    assert found == [("result", "k", "k1", "edited")]


def test_a_job_that_is_new_is_a_cause():
    new = records(*BEFORE, job("weights", {}, {"w": "w1"}))
    fit = copy.deepcopy(BEFORE[2])
    fit["inputs"].append({"path": "w", "sha256": "w1", "bytes": 1, "made_by": None})
    new = Records([*(new[p] for p in new if p != path_of("fit")), Record(path_of("fit"), fit)])
    (cause,) = causes_of(records(*BEFORE), new, path_of("fit"))
    assert (cause.kind, cause.name, cause.before) == ("job", "weights", "(absent)")


@pytest.mark.parametrize(
    ("param", "name"),
    [
        ({"cohort_config": {"title": "a"}}, "cohorts.c.title"),
        ({"plan": {"days": 1}}, "plan.days"),
        ({"seed": 2}, "seed"),
    ],
)
def test_parameters_are_named_as_the_configuration_names_them(param, name):
    old, new = job("fit", {}, {"ard": "r"}), job("fit", {}, {"ard": "r"}, param)
    (cause,) = causes_of(records(old), records(new), path_of("fit"))
    assert cause.name.startswith(name.partition(".")[0])
    assert name.startswith(cause.name)
