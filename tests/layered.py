"""Environments with an executor plugin, layered over the one the tests run in.

Plugins are not in requirements.lock (Snakemake imports every plugin it finds, at each start), and the environment of
the checkout is left as it is. A layered environment is a small venv: a ``.pth`` file lets it see the packages
of the running one, and the profile's lock, with hashes, adds what that lacks.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "envs" / "executors"


@dataclass(frozen=True)
class Layered:
    """A venv that sees the packages of the running one."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        return self.bin / "python"

    @property
    def snakemake(self) -> Path:
        return self.bin / "snakemake"

    def environment(self) -> dict[str, str]:
        """Return what a command here inherits: its own commands come first on PATH."""
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return {**inherited, "VIRTUAL_ENV": str(self.folder), "PATH": f"{self.bin}{os.pathsep}{inherited['PATH']}"}


def layered(folder: Path, *profiles: str) -> Layered:
    """Return the environment of these profiles in `folder`, made by whoever comes first.

    Raises
    ------
    subprocess.CalledProcessError
        If pip cannot install a lock: no index within reach, or a hash that differs.
    """
    made = Layered(folder / "-".join(profiles))
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{made.folder.name}.lock").open("w") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        finished = made.folder / "finished"
        if not finished.exists():
            shutil.rmtree(made.folder, ignore_errors=True)
            _make(made, profiles)
            finished.touch()
    return made


def _make(made: Layered, profiles: tuple[str, ...]) -> None:
    venv.create(made.folder, symlinks=True)
    (made.folder / "share").symlink_to(Path(sys.prefix) / "share")  # Jupyter looks for its templates there
    own = Path(sysconfig.get_path("purelib", vars={"base": str(made.folder), "platbase": str(made.folder)}))
    running = sysconfig.get_path("purelib")
    # addsitedir, and not the bare path: the editable install of this package is itself a .pth file of that folder
    (own / "running.pth").write_text(f"import site; site.addsitedir({running!r})\n", encoding="utf-8")
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "--python", str(made.python), "install", "--quiet"),
            *("--disable-pip-version-check", "--no-deps", "--require-hashes"),
            *(part for profile in profiles for part in ("--requirement", str(LOCKS / f"{profile}.lock"))),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    # commands whose first line names the running interpreter would not see the layer
    for command, module in (("snakemake", "snakemake.cli"), ("sorafenib-rfa", "sorafenib_rfa.cli")):
        path = made.bin / command
        path.write_text(f"#!{made.python}\nimport sys\nfrom {module} import main\nsys.exit(main())\n", encoding="utf-8")
        path.chmod(0o755)
