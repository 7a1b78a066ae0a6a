"""Run every job of a finished tree again in one plain Python process: the yardstick for the workflow's overhead.

Jobs are taken from their records, in the order in which they started; each script runs as it is, with what Snakemake
would have injected. No scheduling, no process a job, every import paid once, one core. Outputs go over the old ones.
"""

from __future__ import annotations

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
    from sorafenib_rfa.records import job
    from sorafenib_rfa.records.code_identity import CodeIdentity
    from sorafenib_rfa.records.record import load_records

    # here all jobs share one process: each sees the modules that those before it imported
    job._unlisted_code = lambda root, listed, elsewhere: []
    code = CodeIdentity(Path.cwd())
    records = sorted(load_records(Path.cwd()).values(), key=lambda record: record.run["started"])
    for record in records:
        content = record.content
        tracked = {"code": code.digest(content["script"])}
        if content["notebook"]:
            tracked["notebook_code"] = code.digest(content["notebook"])
        snakemake = SimpleNamespace(
            rule=record.rule,
            input=Named(content["names"]["input"]),
            output=Named(content["names"]["output"]),
            params=Named({**record.params, **tracked}),
            wildcards=Named(record.wildcards),
            log=[record.run["log"]],
        )
        runpy.run_path(content["script"], init_globals={"snakemake": snakemake})
    print(f"{len(records)} jobs")


if __name__ == "__main__":
    main()
