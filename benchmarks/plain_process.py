"""Run every job of a finished tree again in one plain Python process: the yardstick for the workflow's overhead.

Jobs are taken from their records, in the order in which they started; each script runs as it is, with what Snakemake
would have injected. No scheduling, no process a job, every import paid once, one core. Outputs go over the old ones.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path
from types import SimpleNamespace


class Named(list):
    """A list whose named items are attributes, as Snakemake's containers are."""

    def __init__(self, names: dict) -> None:
        flat = []
        for value in names.values():
            flat.extend(value if isinstance(value, list) else [value])
        super().__init__(flat)
        self._names = names
        self.__dict__.update(names)

    def items(self):
        """Return the named items."""
        return self._names.items()

    def get(self, name, default=None):
        """Return a named item."""
        return self._names.get(name, default)


def main() -> None:
    """Run all recorded jobs."""
    sys.path.insert(0, "src")
    os.environ["PYTHONPATH"] = "src"
    records = [json.loads(path.read_text()) for path in Path("results").glob("*/records/*/*.json")]
    for record in sorted(records, key=lambda record: record["started"]):
        params = {**record["params"], "code": record["code"]}
        snakemake = SimpleNamespace(
            rule=record["rule"],
            input=Named(record["names"]["input"]),
            output=Named(record["names"]["output"]),
            params=Named(params),
            wildcards=Named(record["wildcards"]),
            log=[record["log"]],
        )
        runpy.run_path(record["script"], init_globals={"snakemake": snakemake})
    print(f"{len(records)} jobs")


if __name__ == "__main__":
    main()
