"""The test cluster by hand: `python -m tests.cluster up FOLDER`, and `down FOLDER`."""

import argparse
import sys
from pathlib import Path

from tests.cluster.slurm import Slurm


def main():
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("do", choices=["up", "down", "guard"], help="guard: down as soon as standard input ends")
    parser.add_argument("folder", type=Path, help="everything of the cluster lies in it")
    parser.add_argument("--nodes", type=int, default=2)
    arguments = parser.parse_args()
    cluster = Slurm(arguments.folder.resolve(), arguments.nodes)
    if arguments.do == "up":
        cluster.up()
        print(f"{len(cluster.nodes)} nodes are up:  . {cluster.folder}/environment")
    else:
        if arguments.do == "guard":
            sys.stdin.read()
            cluster.end_users()
        cluster.down()


if __name__ == "__main__":
    main()
