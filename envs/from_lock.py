"""Write envs/paper.yaml, the environment of conda users, from requirements.lock: the same pins, never typed twice.

Only Python itself comes from conda-forge; all packages come from the lock, so that conda, venv and cluster users run
the very same versions. `--check` says whether the file is up to date instead of writing it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAD = """\
# Made from requirements.lock by envs/from_lock.py (make lock): do not edit.
# For `snakemake --sdm conda` and for people who live in conda: python from conda-forge, every package at the version
# of the lock. Without --sdm the rules' `conda:` directive does nothing.
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python =3.11
  - pip
  - pip:
"""


def pins(lock: str) -> list[str]:
    """Return `name==version` or `name==version ; marker` of every package of a lock, in its order."""
    return [
        re.sub(r"\s*\\$", "", line).strip()
        for line in lock.splitlines()
        if re.match(r"^[A-Za-z0-9._-]+(\[.*\])?==", line)
    ]


def environment(lock: str) -> str:
    """Return the text of the conda environment file for a lock."""
    return HEAD + "".join(f'      - "{pin}"\n' for pin in pins(lock))


if __name__ == "__main__":
    text = environment((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    target = ROOT / "envs" / "paper.yaml"
    if "--check" in sys.argv[1:]:
        sys.exit(target.read_text(encoding="utf-8") != text)
    target.write_text(text, encoding="utf-8")
