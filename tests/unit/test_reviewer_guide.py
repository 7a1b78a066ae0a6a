"""What docs/reviewer.md tells a reviewer to type is there: commands, options, targets, claims, ids."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from sorafenib_rfa.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/reviewer.md").read_text(encoding="utf-8")
TYPED = re.findall(r"\.venv/bin/sorafenib-rfa ([a-z]+)((?: [^\n`&|>]+)?)", GUIDE)


def test_the_steps_are_numbered_without_gap():
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", GUIDE, flags=re.MULTILINE)]
    assert numbers == list(range(1, 17))


@pytest.mark.parametrize(("name", "rest"), sorted(set(TYPED)))
def test_commands_and_their_options_are_there(name, rest):
    assert name in COMMANDS
    command = importlib.import_module(f"sorafenib_rfa.cli.{name}").command
    known = {option for parameter in command.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", rest)) <= known


def test_all_commands_of_an_auditor_are_told():
    assert {name for name, _ in TYPED} == set(COMMANDS) - {"doctor"}  # asked before a run on a cluster


def test_make_and_snakemake_targets_are_there():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {word for line in re.findall(r"^([a-z][a-z_ -]*):(?!=)", makefile, re.MULTILINE) for word in line.split()}
    assert set(re.findall(r"(?<!snake)make ([a-z]+)`", GUIDE)) | {"environment"} <= targets
    rules = set(re.findall(r"^rule (\w+):", (ROOT / "Snakefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"bin/snakemake (\w+)", GUIDE)) <= rules


def test_ids_and_claims_are_used_by_the_paper():
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "manuscript").glob("*.qmd")))
    claims = yaml.safe_load((ROOT / "manuscript/claims.yaml").read_text(encoding="utf-8"))
    ids = {each for _, rest in TYPED for each in re.findall(r"(?<= )[a-z_]+\.[a-z_.]+(?= |$)", rest)}
    assert ids - {"verification.json", "certificate.md"} == {"flow.patients.analysed"}
    assert "val flow.patients.analysed" in text
    named = re.findall(r"trace claim:(\w+)", GUIDE)
    assert named and set(named) <= {*claims, *claims.get("claims", {})}


def test_files_below_the_results_are_made_by_a_rule():
    rules = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    for name in ("members", "quarantine", "attrition", "data_dictionary", "README_AEA.md", "codecheck.yml"):
        assert name in GUIDE and name in rules
