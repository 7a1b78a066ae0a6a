"""A real Slurm cluster on loopback: munged, slurmctld and slurmd daemons of its own, all below one folder.

Nothing of the machine is touched: key, socket, ports, state and logs are the cluster's own, nothing is read from or
written to /etc, and only processes started here are ended, by their ids. There is no accounting, as on many small
clusters, and no cgroups: memory is enforced by Slurm's own polling. Nodes are as many as asked for, on the same machine
(they offer more cores than it has); what their jobs download ends at a dead port, as on nodes without internet.

By hand, with Slurm and munge installed (Debian: slurm-wlm, munge)::

    python -m tests.cluster up /tmp/cluster && . /tmp/cluster/environment && sinfo
    python -m tests.cluster down /tmp/cluster
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("munged", "munge", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel", "sinfo")
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def missing_programs() -> list[str]:
    """Return the programs of Slurm and munge that this machine does not have."""
    places = f"{os.environ['PATH']}:{SBIN}"
    return [name for name in PROGRAMS if shutil.which(name, path=places) is None]


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens to just now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _started(pid: int) -> str | None:
    """Return when a process started (clock ticks since boot), None if there is none: ids are used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *rest = stat.rpartition(")")[2].split()
    return None if state == "Z" else rest[18]


class Slurm:
    """One cluster, below `folder`.

    Attributes
    ----------
    folder : Path
        Everything of the cluster; gone after :meth:`down`.
    nodes : tuple of str
        Names of the nodes.
    """

    def __init__(self, folder: Path, nodes: int = 2, cpus: int = 2, memory_mb: int = 8000) -> None:
        self.folder = folder
        self.nodes = tuple(f"n{number}" for number in range(1, nodes + 1))
        self.cpus, self.memory_mb = cpus, memory_mb
        self.config = folder / "slurm.conf"
        self.socket = folder / "munge" / "socket"
        self._path: str | None = None

    # --- what a user of the cluster sees -------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a login node."""
        path = os.pathsep.join([str(self.folder / "bin"), os.environ["PATH"]])
        return {**os.environ, "SLURM_CONF": str(self.config), "PATH": path}

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """Run one of Slurm's commands on the login node; return what it said."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=timeout)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def submissions(self) -> int:
        """Return how often `sbatch` was called."""
        calls = self.folder / "sbatch_calls"
        return len(calls.read_text(encoding="utf-8").splitlines()) if calls.exists() else 0

    def jobs(self, states: str = "all") -> list[dict[str, str]]:
        """Return id, state, node, comment and times of the jobs the controller knows, oldest first."""
        names = ("id", "state", "node", "comment", "minutes", "memory")
        said = self.run("squeue", "--noheader", f"--states={states}", "--sort=i", "--format=%i|%T|%N|%k|%l|%m")
        return [dict(zip(names, line.strip().split("|"), strict=True)) for line in said.splitlines()]

    # --- life ----------------------------------------------------------------------------------------------------

    def up(self) -> Slurm:
        """Start all daemons; return when every node is ready for jobs."""
        missing = missing_programs()
        if missing:
            raise FileNotFoundError(f"not installed: {', '.join(missing)} (Debian: slurm-wlm, munge)")
        if (self.folder / "pids").exists():
            raise FileExistsError(f"{self.folder} holds a cluster already; `python -m tests.cluster down` ends it")
        for name in ("munge", "state", "log", "spool", "bin"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        try:
            self._munged()
            self._write_config()
            self._write_helpers()
            self._start("slurmctld", "slurmctld", "-D", "-f", str(self.config))
            self._wait(lambda: " UP" in self.run("scontrol", "ping", check=False, timeout=5), "slurmctld")
            for node in self.nodes:
                self.start_node(node)
            self._wait(lambda: self._idle() == len(self.nodes), "nodes")
        except BaseException:
            self.down()
            raise
        return self

    def down(self) -> None:
        """End the jobs and all daemons, by their ids, and remove the folder."""
        if (self.folder / "slurm.conf").exists():
            with suppress(OSError, subprocess.SubprocessError):
                subprocess.run(
                    ["scancel", "--user", str(os.getuid()), "--signal=KILL", "--full"],
                    env=self.environment,
                    capture_output=True,
                    timeout=5,
                )
        pids = self.folder / "pids"
        known = [line.split() for line in pids.read_text(encoding="utf-8").splitlines()] if pids.exists() else []
        for name, pid, started in reversed(known):
            if name.startswith("slurmd."):  # its steps may be there even if it is not
                self._end_steps(name.removeprefix("slurmd."))
            if _started(int(pid)) == started:
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
        ends = time.monotonic() + 5
        while any(_started(int(pid)) == started for _, pid, started in known) and time.monotonic() < ends:
            time.sleep(0.05)
        for _, pid, started in known:
            if _started(int(pid)) == started:
                os.kill(int(pid), signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def end_users(self) -> None:
        """Kill what uses the cluster on its login node: such as a Snakemake whose test was killed."""
        ours = f"SLURM_CONF={self.config}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if ours in (process / "environ").read_bytes() + b"\0" and not self._serves(process):
                    os.kill(int(process.name), signal.SIGKILL)

    @staticmethod
    def _serves(process: Path) -> bool:
        return (process / "comm").read_text().startswith(("slurm", "munged"))

    def guard(self) -> subprocess.Popen:
        """Start a process that ends the cluster, and who uses it, as soon as this one is gone, even if it is killed."""
        command = [sys.executable, "-m", "tests.cluster", "guard", str(self.folder)]
        root = Path(__file__).resolve().parents[2]
        return subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, start_new_session=True)

    def pid(self, name: str) -> int:
        """Return the id of a daemon: ``munged``, ``slurmctld``, or ``slurmd.`` and a node's name."""
        lines = (self.folder / "pids").read_text(encoding="utf-8").splitlines()
        pid, started = next(line.split()[1:] for line in reversed(lines) if line.split()[0] == name)
        assert _started(int(pid)) == started, f"{name} does not run"
        return int(pid)

    # --- nodes ---------------------------------------------------------------------------------------------------

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._start(f"slurmd.{node}", "slurmd", "-D", "-f", str(self.config), "-N", node)

    def crash_node(self, node: str) -> None:
        """Let a node go down with all that runs on it, without a word to the controller."""
        os.kill(self.pid(f"slurmd.{node}"), signal.SIGKILL)
        self._end_steps(node)

    def recover_node(self, node: str) -> None:
        """Start the daemon of a crashed node and take the node into service again."""
        self.start_node(node)
        self._wait(lambda: self._idle() == len(self.nodes), "nodes")

    def _end_steps(self, node: str) -> None:
        """Kill the job steps of a node, then what runs in them: a step that outlives its job would report its end."""
        mark = f"SLURMD_NODENAME={node}\0".encode()
        ours = f"SLURM_CONF={self.config}\0".encode()
        log = str(self.folder / "log" / f"{node}.log")
        steps, inside = [], []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                environment = (process / "environ").read_bytes() + b"\0"
                if ours not in environment:
                    continue
                if (process / "comm").read_text().startswith("slurmstepd"):
                    if self._holds(process, log):
                        steps.append(int(process.name))
                elif mark in environment:
                    inside.append(int(process.name))
        for pid in [*steps, *inside]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @staticmethod
    def _holds(process: Path, file: str) -> bool:
        """Return whether a process has a file open: a step does not say whose node's it is, but writes to its log."""
        for handle in (process / "fd").iterdir():
            with suppress(OSError):
                if os.readlink(handle) == file:
                    return True
        return False

    def _idle(self) -> int:
        command = ("sinfo", "--noheader", "--states=idle,mixed,allocated", "--format=%D %T")
        said = self.run(*command, check=False, timeout=5)
        return sum(int(line.split()[0]) for line in said.splitlines() if not line.rstrip().endswith("*"))

    # --- how it is made ------------------------------------------------------------------------------------------

    def _start(self, name: str, *command: str) -> None:
        """Start a daemon in a session of its own and note its id."""
        program = shutil.which(command[0], path=f"{os.environ['PATH']}:{SBIN}")
        assert program is not None, command[0]
        with (self.folder / "log" / f"{name}.out").open("ab") as log:
            process = subprocess.Popen(
                [program, *command[1:]],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        with (self.folder / "pids").open("a", encoding="utf-8") as pids:
            pids.write(f"{name} {process.pid} {_started(process.pid)}\n")

    def _wait(self, ready, what: str, seconds: float = 30) -> None:
        ends = time.monotonic() + seconds
        while True:
            with suppress(subprocess.TimeoutExpired):
                if ready():
                    return
            if time.monotonic() > ends:
                logs = sorted((self.folder / "log").iterdir())
                tails = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in logs)
                raise TimeoutError(f"{what} did not come up in {seconds} s\n{tails}")
            time.sleep(0.1)

    def _munged(self) -> None:
        folder = self.folder / "munge"
        key = folder / "key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        # --force: the folder may lie below one that others may write to, such as /tmp
        self._start(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={self.socket}"),
            *(f"--pid-file={folder / 'pid'}", f"--log-file={folder / 'log'}", f"--seed-file={folder / 'seed'}"),
        )
        self._wait(self.socket.exists, "munged")

    def _write_config(self) -> None:
        host = socket.gethostname().partition(".")[0]
        controller, *daemons = _free_ports(1 + len(self.nodes))
        user = pwd.getpwuid(os.getuid()).pw_name
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus} "
            f"RealMemory={self.memory_mb} State=UNKNOWN"
            for node, port in zip(self.nodes, daemons, strict=True)
        ]
        content = f"""ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={self.socket}
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/state/slurmctld.pid
SlurmdPidFile={self.folder}/spool/%n.pid
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/%n.log
TaskProlog={self.folder}/bin/task_prolog
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill,UsePss
EnforcePartLimits=ALL
ReturnToService=2
SlurmctldTimeout=30
SlurmdTimeout=10
KillWait=2
MinJobAge=3600
MaxJobCount=20000
{chr(10).join(nodes)}
PartitionName=main Nodes=ALL Default=YES MaxTime=1-0 DefaultTime=10 DefMemPerCPU=500 State=UP
"""
        self.config.write_text(content, encoding="utf-8")

    def _write_helpers(self) -> None:
        """Write what stands before Slurm's own commands, the prolog of tasks, and the environment for a shell."""
        sbatch, srun = shutil.which("sbatch"), shutil.which("srun")
        bin_ = self.folder / "bin"
        scripts = {
            # how often jobs are handed to the controller is a property of a profile that tests count
            "sbatch": f'echo "$(date +%s.%N)" >> {self.folder}/sbatch_calls\nexec {sbatch} "$@"\n',
            # Snakemake's job step takes every SLURM_ variable from srun, so a configuration outside of /etc is lost
            "srun": f'SLURM_CONF={self.config} exec {srun} "$@"\n',
            # no node reaches the internet: a job has the environment of the login node, but these come from the node
            "task_prolog": "".join(
                f"echo export {name}=http://127.0.0.1:9\n" for low in PROXIES for name in (low, low.upper())
            )
            + "echo unset no_proxy\necho unset NO_PROXY\n",
        }
        for name, text in scripts.items():
            (bin_ / name).write_text(f"#!/bin/sh\n{text}", encoding="utf-8")
            (bin_ / name).chmod(0o755)
        shell = f'export SLURM_CONF={self.config}\nexport PATH={bin_}:"$PATH"\n'
        (self.folder / "environment").write_text(shell, encoding="utf-8")
