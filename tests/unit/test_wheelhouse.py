"""Packages for a machine without internet: fetched by `make wheelhouse`, installed with no index and no network."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


def make(*arguments, without_network=False):
    prefix = ["unshare", "--net"] if without_network else []
    return subprocess.run(
        [*prefix, "make", "--no-print-directory", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PIP_INDEX_URL": "https://127.0.0.1:9/"} if without_network else None,
        check=False,
    )


def can_cut_the_network():
    return os.geteuid() == 0 and shutil.which("unshare") and not subprocess.run(["unshare", "--net", "true"]).returncode


def test_what_is_fetched_is_what_the_locks_name():
    said = make("--dry-run", "wheelhouse", "PROFILE=slurm").stdout
    fetched = re.findall(r"pip download .*--require-hashes .*--dest wheelhouse --requirement (\S+)", said)
    assert fetched == ["requirements.lock", "envs/build.lock", "envs/executors/slurm.lock"]


def test_with_a_wheelhouse_every_package_comes_from_it():
    said = make("--dry-run", "--always-make", "paper", "PROFILE=slurm", "WHEELHOUSE=house", "VENV=/nowhere").stdout
    installs = [line for line in said.splitlines() if " pip install " in line]
    assert len(installs) == 3  # the lock, this package, the plugin
    assert all("--no-index --find-links house" in line for line in installs)
    plain = make("--dry-run", "--always-make", "paper", "PROFILE=slurm", "VENV=/nowhere").stdout
    assert "--no-index" not in plain


@pytest.mark.slow
@pytest.mark.skipif(not can_cut_the_network(), reason="needs root, to run without a network")
def test_packages_are_installed_without_a_network(tmp_path):
    """The one plugin that is a wheel, and a package of the lock that comes as source and has to be built."""
    house, environment, source = tmp_path / "house", tmp_path / "venv", tmp_path / "source.lock"
    source.write_text(re.search(r"^connection-pool==.*?(?=^\S)", LOCK, flags=re.M | re.S)[0], encoding="utf-8")
    for lock in (source, ROOT / "envs/build.lock", ROOT / "envs/executors/cluster-generic.lock"):
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", "--no-deps"),
                *("--dest", house, "--requirement", lock),
            ],
            check=True,
        )
    assert any(path.name.endswith(".tar.gz") for path in house.iterdir())
    venv.create(environment, with_pip=True)
    (environment / ".paper").touch()  # as if the lock itself were installed
    target = f"{environment}/.executor-cluster-generic"
    done = make(target, f"VENV={environment}", f"WHEELHOUSE={house}", without_network=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pip = [environment / "bin/python", "-m", "pip", "install", "--quiet", "--no-index", "--find-links", house]
    done = subprocess.run(
        ["unshare", "--net", *pip, "--require-hashes", "--requirement", source], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    shown = subprocess.run([environment / "bin/python", "-m", "pip", "list"], capture_output=True, text=True).stdout
    assert "snakemake-executor-plugin-cluster-generic" in shown
    assert re.search("connection.pool", shown)
    # a wheelhouse that lacks it is not made good from anywhere else
    plugin = "snakemake-executor-plugin-cluster-generic"
    subprocess.run([environment / "bin/python", "-m", "pip", "uninstall", "--quiet", "--yes", plugin], check=True)
    house.rename(tmp_path / "gone")
    Path(target).unlink()
    assert make(target, f"VENV={environment}", f"WHEELHOUSE={house}", without_network=True).returncode != 0


def test_images_are_made_from_the_lock_with_hashes_and_its_python():
    conda = (ROOT / "envs/paper.yaml").read_text(encoding="utf-8")
    python = re.search(r"python =(\d+\.\d+)", conda)[1]
    for name, copies in (("Containerfile", r"^COPY (.+) \S+$"), ("paper.def", r"^    (\S+) /environment/\S+$")):
        text = (ROOT / "envs" / name).read_text(encoding="utf-8")
        assert re.search(rf"(?:FROM|From:) docker.io/library/python:{re.escape(python)}-slim", text)
        installs = [line for line in text.replace("\\\n", "").splitlines() if "pip install" in line]
        assert installs and all("--require-hashes" in line and "requirements.lock" in line for line in installs)
        named = [part for line in re.findall(copies, text, flags=re.M) for part in line.split()]
        assert "requirements.lock" in named
        assert all((ROOT / part).exists() for part in named)
