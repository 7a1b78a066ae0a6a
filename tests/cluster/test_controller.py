"""A controller that does not answer for a while."""

import os
import signal
import time

from tests.checkout import ROOT
from tests.cluster.test_failures import until

SNAKEFILE = """
import sys
from pathlib import Path
sys.path.insert(0, "{root}/src")
from sorafenib_rfa.errors import UserError
ROOT = Path.cwd()
include: "{root}/workflow/rules/cluster.smk"

rule all:
    input: "out/slow.txt"

rule slow:
    output: "out/slow.txt"
    log: "logs/slow.log"
    resources: mem_mb=400, runtime=5
    shell: "touch {{log}}; sleep 8; touch {{output}}"
"""


def test_a_run_outlasts_a_controller_that_is_silent_for_a_while(slurm, login_node, profiles, tmp_path):
    (tmp_path / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    process = login_node.start(tmp_path, *login_node.snakemake(profiles=profiles))
    until((tmp_path / "logs/slow.log").exists)
    controller = slurm.pid("slurmctld")
    os.kill(controller, signal.SIGSTOP)
    try:
        time.sleep(25)  # the plugin gives each of its questions ten seconds
    finally:
        os.kill(controller, signal.SIGCONT)
    code, said = login_node.end(process, tmp_path, seconds=180)
    assert code == 0, said
    assert (tmp_path / "out/slow.txt").exists()
