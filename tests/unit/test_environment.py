"""The three ways to get the environment (lock, development lock, conda) must give the same versions."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def versions(text):
    found = {}
    for line in text.splitlines():
        match = re.match(r'^\s*(?:- ")?([A-Za-z0-9._-]+)(?:\[.*\])?==([^\s;\\"]+)(?:\s*;\s*([^\\"]*))?', line)
        if match:
            found[match[1].lower().replace("_", "-"), (match[3] or "").strip()] = match[2]
    return found


LOCK = versions((ROOT / "requirements.lock").read_text())


def test_conda_environment_holds_the_pins_of_the_lock():
    environment = yaml.safe_load((ROOT / "envs" / "paper.yaml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert versions("\n".join(f'- "{pin}"' for pin in pip)) == LOCK
    assert len(LOCK) > 100


def test_conda_environment_is_what_the_lock_makes():
    assert subprocess.run([sys.executable, ROOT / "envs" / "from_lock.py", "--check"]).returncode == 0


def test_development_lock_only_adds_to_the_lock():
    development = versions((ROOT / "requirements-dev.lock").read_text())
    # a package that the lock needs on some machines may be needed on all of them there
    anywhere = {name: version for (name, marker), version in development.items() if not marker}
    assert {(name, marker): development.get((name, marker), anywhere.get(name)) for name, marker in LOCK} == LOCK


def test_every_rule_names_an_environment_that_exists():
    for rules in (ROOT / "workflow" / "rules").glob("*.smk"):
        text = rules.read_text()
        assert text.count("conda:") == len(re.findall(r"^ *rule\b", text, flags=re.M)), rules.name
    assert '"../../envs/paper.yaml"' in (ROOT / "workflow" / "rules" / "common.smk").read_text()


def test_locks_are_hashed_and_name_no_host():
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        entries = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]
        assert all("--hash=sha256:" in entry for entry in entries), name
