"""The three ways to get the environment (lock, development lock, conda) must give the same versions."""

import re
import shutil
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
    executors = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "envs/executors").glob("*.lock"))]
    assert len(executors) == 8
    for name in ("requirements.lock", "requirements-dev.lock", "envs/build.lock", *executors):
        text = (ROOT / name).read_text()
        assert "://" not in text
        entries = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]
        assert all("--hash=sha256:" in entry for entry in entries), name


def check_of_executor_locks(folder):
    script = folder / "envs" / "lock_executors.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    return done.returncode, done.stdout


def test_locks_of_executors_hold_what_they_ask_for_and_keep_the_versions_of_the_lock(tmp_path):
    assert check_of_executor_locks(ROOT) == (0, "")
    shutil.copytree(ROOT / "envs", tmp_path / "envs")
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    lock = tmp_path / "envs/executors/slurm.lock"
    whole = lock.read_text()
    lock.write_text(whole.replace("snakemake-executor-plugin-slurm==2.8.0", "snakemake-executor-plugin-slurm==2.7.0"))
    assert check_of_executor_locks(tmp_path) == (
        1,
        "envs/executors/slurm.lock: snakemake-executor-plugin-slurm==2.8.0 is asked for and not locked\n",
    )
    lock.write_text(whole + "pandas==3.1.1 --hash=sha256:0\n")
    code, said = check_of_executor_locks(tmp_path)
    assert (code, said) == (1, "envs/executors/slurm.lock: pandas==3.1.1 is not the version of requirements.lock\n")


def test_a_lock_of_an_executor_adds_only_what_the_lock_lacks():
    for path in sorted((ROOT / "envs/executors").glob("*.lock")):
        own = versions(path.read_text())
        assert own and not set(own) & set(LOCK), path.name
