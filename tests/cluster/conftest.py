"""One cluster for the tests of a process, and Snakemake as a person calls it on its login node."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.checkout import ROOT, inherited
from tests.cluster.slurm import Slurm, missing_programs
from tests.layered import Layered, layered


@dataclass(frozen=True)
class LoginNode:
    """A machine on which jobs are handed to the cluster."""

    slurm: Slurm
    environment: Layered

    def variables(self):
        """Return the environment of a shell there."""
        path = os.pathsep.join([str(self.environment.bin), str(self.slurm.folder / "bin"), inherited()["PATH"]])
        return {**self.environment.environment(), "SLURM_CONF": str(self.slurm.config), "PATH": path}

    def start(self, folder, *command):
        """Start a command in a folder; what it says goes to a file there, so that it never waits for a reader."""
        with (folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                [str(part) for part in command],
                cwd=folder,
                env=self.variables(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, process, folder, seconds=600):
        """Wait until a command started in a folder has ended; return its exit code and what it said."""
        try:
            process.wait(timeout=seconds)
        finally:
            process.kill()
        return process.returncode, (folder / "said.txt").read_text()

    def run(self, folder, *command, check=True):
        """Run a command in a folder; return its exit code and what it said."""
        code, said = self.end(self.start(folder, *command), folder)
        assert not check or code == 0, said
        return code, said

    def snakemake(self, *arguments, profiles):
        """Return the command line with the shipped profile, as `make PROFILE=slurm` puts it together."""
        names = [profiles / "default", profiles / "slurm", profiles / "slurm" / "site.example.yaml"]
        chosen = [part for name in names for part in ("--profile", name)]
        return [self.environment.snakemake, *arguments, "--workflow-profile", "none", *chosen]


@pytest.fixture(scope="session")
def slurm():
    """A cluster of two nodes; gone with this process, however that ends."""
    missing = missing_programs()
    if missing:
        pytest.skip(f"Slurm is not installed: no {', '.join(missing)} (Debian: apt-get install slurm-wlm munge)")
    folder = Path(tempfile.mkdtemp(prefix="sorafenib-rfa-slurm-"))  # pytest's own folders are too deep for a socket
    cluster = Slurm(folder)
    guard = cluster.guard()
    try:
        yield cluster.up()
    finally:
        guard.stdin.close()
        guard.wait(timeout=60)
        assert not folder.exists(), f"the cluster was not taken down: {folder}"
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def login_node(slurm, tmp_path_factory):
    """The cluster's login node, with the executor plugin of the shipped lock."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return LoginNode(slurm, layered(base / "layered", "slurm"))


@pytest.fixture(scope="session")
def profiles():
    """The shipped profiles."""
    return ROOT / "profiles"
