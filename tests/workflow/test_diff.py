"""sorafenib-rfa diff: which numbers changed, where the paper shows them, and what changed them."""

import json
import subprocess

import pandas as pd
import pytest

from sorafenib_rfa.provenance.diff import compare_states, diff
from sorafenib_rfa.provenance.diff_report import markdown
from sorafenib_rfa.records.record import seal_of
from tests.checkout import COMMAND, copy_of_checkout, edit_yaml

pytestmark = [pytest.mark.workflow, pytest.mark.slow]

PART = "results/synthetic/ard/parts/target_trial.parquet"
ARD = "results/synthetic/ard/ard.parquet"
PRIMARY = "target_trial.rfs_ccw_overlap.contrast.m36.difference"


@pytest.fixture(scope="module")
def earlier(finished, tmp_path_factory):
    """Results as another plan and another export would have given them: two numbers, a parameter, a raw file."""
    checkout = copy_of_checkout(finished, tmp_path_factory.mktemp("earlier") / "repository")

    def record(name, change):
        path = checkout.folder / f"results/synthetic/records/{name}/synthetic.json"
        content = json.loads(path.read_text())
        change(content)
        content["seal"] = seal_of(content)
        path.write_text(json.dumps(content))

    frame = pd.read_parquet(checkout.folder / ARD).set_index("ard_id", drop=False)
    frame.loc[PRIMARY, ["value", "ci_low", "ci_high"]] = [9.0, 5.0, 13.0]  # a benefit would have been shown
    frame.loc["flow.patients.screened", "value"] = 151.0
    frame.loc["efficacy.rfs_cox_overlap.contrast.hr", "value"] *= 1 + 1e-9
    frame = frame.drop(index="flow.patients.excluded")
    frame.to_parquet(checkout.folder / ARD, index=False)
    record("estimate_target_trial", lambda content: content["params"]["plan"].update(grace_period_days=90))

    def other_input(content):
        for entry in content["inputs"]:
            if entry["path"].endswith("fates.parquet"):
                entry["sha256"] = "0" * 64

    record("estimate_flow", other_input)
    record("clean_cohort", lambda content: content["params"]["plan"].update(grace_period_days=90))
    return checkout


@pytest.fixture(scope="module")
def changes(finished, earlier):
    return compare_states(finished.folder, earlier.folder, "submission 1")


def by_id(changes):
    return {number.id.partition(":")[2]: number for number in changes.numbers}


def test_only_what_changed_is_told_with_old_new_and_change(changes):
    found = by_id(changes)
    assert set(found) == {PRIMARY, "flow.patients.screened", "flow.patients.excluded"}
    assert changes.within_tolerance == 1
    screened = found["flow.patients.screened"]
    assert (screened.before["value"], screened.after["value"], screened.absolute) == (151.0, 150.0, -1.0)
    assert screened.relative == pytest.approx(-1 / 151)
    assert (screened.printed_before, screened.printed_after) == ("151", "150")
    assert found["flow.patients.excluded"].kind == "added"
    assert found["flow.patients.excluded"].change() == "new"


def test_numbers_of_the_paper_come_first_with_file_and_line(changes, finished):
    shown = [bool(number.shown) for number in changes.numbers]
    assert shown == sorted(shown, reverse=True)
    primary = by_id(changes)[PRIMARY]
    assert any(place.file == "manuscript/index.qmd" and place.what.startswith("claim") for place in primary.shown)
    for place in primary.shown:
        lines = (finished.folder / place.file).read_text().split("\n")
        assert 1 <= place.line <= len(lines)
    screened = by_id(changes)["flow.patients.screened"]
    assert any(place.what.startswith("table") for place in screened.shown)
    assert any(place.what == "figure flow" for place in screened.shown)


def test_a_claim_whose_branch_is_another_one_is_a_change_of_interpretation(changes):
    claims = {claim.claim: claim for claim in changes.claims}
    rfs = claims["rfs_result"]
    assert rfs.before.condition == "difference.ci_low > 0"
    assert rfs.after.condition != rfs.before.condition
    assert "would live longer without recurrence" in rfs.before.wording
    assert all(claim.before.condition != claim.after.condition for claim in changes.claims)


def test_each_number_names_what_changed_in_its_own_lineage(changes):
    found = by_id(changes)
    causes = {
        name: [(changes.causes[n].kind, changes.causes[n].name) for n in number.causes]
        for name, number in found.items()
    }
    assert causes[PRIMARY] == [("parameter", "plan.grace_period_days")]
    assert ("parameter", "plan.grace_period_days") in causes["flow.patients.screened"]
    primary = changes.causes[found[PRIMARY].causes[0]]
    assert (primary.before, primary.after) == ("90", "60")


def test_the_table_for_a_response_to_reviewers(changes):
    text = markdown(changes)
    row = next(line for line in text.split("\n") if "flow.patients.screened |" in line.replace("\\", ""))
    assert "| 151 | 150 | -1 (-0.66%) |" in row
    assert "manuscript/" in row.replace("\\", "")
    assert "plan.grace\\_period\\_days" in text
    assert "## Interpretation" in text


def test_the_same_results_have_no_difference(finished):
    same = diff(finished.folder, str(finished.folder / "results"))
    assert (same.numbers, same.claims, same.within_tolerance, same.exit_code) == ((), (), 0, 0)
    assert same.compared > 3000


def test_a_revision_is_made_again_up_to_its_numbers(tiny):
    """The commit asks for more resamples than the tree; the numbers that hang on them are told, with that cause."""

    def git(*arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=tiny.folder, check=True, capture_output=True)

    plan = tiny.folder / "config/plan.yaml"
    now = plan.read_text()
    edit_yaml(plan, lambda content: content.update(bootstrap_resamples=220))
    git("init", "--quiet")
    git("add", "--all")
    git("commit", "--quiet", "--message", "submission")
    git("tag", "submission-1")
    plan.write_text(now)
    code, said = tiny.run(COMMAND, "diff", "submission-1", "--json", check=False)
    assert code == 1, said
    answer = json.JSONDecoder().raw_decode(said, said.index("{"))[0]
    assert answer["before"].startswith("revision submission-1 (")
    assert [(c["kind"], c["name"], c["before"], c["after"]) for c in answer["causes"]] == [
        ("parameter", "plan.bootstrap_resamples", "220", "200")
    ]
    assert answer["changed"] > 0
    assert all(number["causes"] == [0] for number in answer["numbers"])
    # counts of patients rest on no resample
    assert not [number["id"] for number in answer["numbers"] if number["id"].partition(":")[2].startswith("flow.")]
    assert (tiny.folder / "config/plan.yaml").read_text() == now


def test_what_is_neither_revision_nor_bundle_is_said(tiny, tmp_path):
    code, said = tiny.run(COMMAND, "diff", "no-such-thing", check=False)
    assert code == 2
    assert "Traceback" not in said
    assert "bundle" in said
