"""Write envs/executors/<profile>.lock from envs/executors/<profile>.in: what a profile adds to requirements.lock.

Executor plugins stay out of requirements.lock, because Snakemake imports every plugin that it finds at each start. A
profile's lock holds, with hashes, only the distributions that requirements.lock lacks; those it has keep its versions.
So it is installed over the paper's environment (`make paper PROFILE=<profile>`), never by itself. `--check` says
whether each lock names what its `.in` asks for and agrees with requirements.lock, without asking an index.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXECUTORS = ROOT / "envs" / "executors"
PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)(?:\s*;\s*(?P<marker>[^\\\n]*))?", re.M
)
HEAD = """\
# Made from {name}.in by envs/lock_executors.py (make lock): do not edit. Only what requirements.lock lacks, so it is
# installed over that: pip install --no-deps --require-hashes -r envs/executors/{name}.lock
"""
OVERRIDE = EXECUTORS / "override.txt"
OVERRIDDEN = {"botocore": "python-dateutil"}
OVERRIDDEN_HEAD = """\
# Against what {package} declares, {overridden} stays at the version of requirements.lock: override.txt says why.
"""


def entries(lock: str) -> dict[tuple[str, str, str], str]:
    """Return (name, version, marker) -> text of each entry of a lock."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", "\n" + lock)[1:]:
        pin = PIN.match(block)
        if pin:
            found[pin["name"].lower(), pin["version"], (pin["marker"] or "").strip()] = block.rstrip() + "\n"
    return found


def added(profile_lock: str, paper_lock: str) -> str:
    """Return the entries of a profile's full lock that the paper's lock does not have."""
    paper = entries(paper_lock)
    return "".join(text for key, text in entries(profile_lock).items() if key not in paper)


def compiled(requirements: Path, previous: Path) -> str:
    """Return the full lock of a profile: versions of the paper's lock where it has them, else of the lock before."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "profile.lock"
        if previous.exists():
            made.write_bytes(previous.read_bytes())  # uv keeps the versions it finds there
        subprocess.run(
            [
                *(Path(sys.executable).with_name("uv"), "pip", "compile", "--quiet", "--generate-hashes"),
                *("--no-emit-index-url", "--no-annotate", "--no-header", "--universal", "--python-version", "3.11"),
                *("-c", ROOT / "requirements.lock", "--override", OVERRIDE, requirements, "-o", made),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        return made.read_text(encoding="utf-8")


def problems(requirements: str, lock: str, paper_lock: str) -> list[str]:
    """Return what is wrong with a profile's lock: a requirement it lacks, a version other than the paper's."""
    ours, paper = entries(lock), entries(paper_lock)
    pins = {(name, version) for name, version, _ in ours}
    wanted = {(pin["name"].lower(), pin["version"]) for pin in PIN.finditer(requirements)}
    paper_versions: dict[str, set[str]] = {}
    for name, version, _ in paper:
        paper_versions.setdefault(name, set()).add(version)
    return [
        *(f"{name}=={version} is asked for and not locked" for name, version in sorted(wanted - pins)),
        *(
            f"{name}=={version} is not the version of requirements.lock"
            for name, version in sorted(pins)
            if name in paper_versions and version not in paper_versions[name]
        ),
    ]


def main(check: bool) -> int:
    """Write or check every lock; return the exit code."""
    paper_lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    wrong = [f"{OVERRIDE.relative_to(ROOT)}: {problem}" for problem in problems("", OVERRIDE.read_text(), paper_lock)]
    for requirements in sorted(EXECUTORS.glob("*.in")):
        lock = requirements.with_suffix(".lock")
        if not check:
            body = added(compiled(requirements, lock), paper_lock)
            head = HEAD.format(name=requirements.stem)
            for package, overridden in OVERRIDDEN.items():
                if any(name == package for name, _, _ in entries(body)):
                    head += OVERRIDDEN_HEAD.format(package=package, overridden=overridden)
            lock.write_text(head + body, encoding="utf-8")
        found = problems(requirements.read_text(encoding="utf-8"), lock.read_text(encoding="utf-8"), paper_lock)
        wrong += [f"{lock.relative_to(ROOT)}: {problem}" for problem in found]
    print("\n".join(wrong), end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
