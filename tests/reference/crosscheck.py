"""Recompute the reference values in R and compare: R with what is committed, this package with R.

    python tests/reference/crosscheck.py [--out FOLDER] [--accept]

Fails if Rscript is absent, if R now gives other values than those committed (more than 1e-9 apart, relative), or if
this package differs from R by more than the tests allow. Writes the agreement to
``validation/agreement.csv``, which the supplement of the paper prints. ``--accept`` replaces the committed values.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SAME_R = 1e-9
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Reference:
    """A quantity R computed, from which data and by which function."""

    value: np.ndarray
    data: str
    function: str


def read_values(path: Path) -> dict[str, Reference]:
    """Read a file written by ``write_values`` in ``r/common.R``; null is R's NA."""
    entries = json.loads(path.read_text(encoding="utf-8"))["values"]
    out = {}
    for name, entry in entries.items():
        raw = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
        value = np.array([np.nan if v is None else v for v in raw], dtype=float)
        out[name] = Reference(value, entry["data"], entry["function"])
    return out


def run_r(folder: Path, families: list[str]) -> None:
    """Run the R scripts, which write their JSON files into `folder`."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        sys.exit(
            "crosscheck: Rscript was not found. This check recomputes the reference values in R; install R with the\n"
            "packages survival, cmprsk, MatchIt, metafor, mets and survey (Debian: apt-get install r-base-core\n"
            "r-cran-survival r-cran-cmprsk r-cran-matchit r-cran-metafor r-cran-mets r-cran-survey) and run it again.\n"
            "The tests themselves (make test) do not need R."
        )
    for family in families:
        done = subprocess.run(
            [rscript, "--vanilla", str(HERE / "r" / f"{family}.R"), str(REPOSITORY), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            sys.exit(f"crosscheck: tests/reference/r/{family}.R failed:\n{done.stderr.strip()}")


def shown(value: np.ndarray) -> str:
    """One number, or how many there are and the largest in size."""
    if value.size == 1:
        return f"{value[0]:.10g}"
    finite = value[np.isfinite(value)]
    extreme = finite[np.argmax(np.abs(finite))] if finite.size else float("nan")
    return f"{value.size} values, largest {extreme:.10g}"


def main() -> int:
    """Run the check; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "validation", help="folder of agreement.csv")
    parser.add_argument("--accept", action="store_true", help="replace the committed values by what R gives now")
    args = parser.parse_args()
    sys.path.insert(0, str(HERE))
    import ours

    families = list(ours.FAMILIES)
    rows: list[dict[str, str | float]] = []
    drifted: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run_r(folder, families)
        engines = {}
        for family in families:
            fresh = folder / f"{family}.json"
            engines.update(json.loads(fresh.read_text(encoding="utf-8"))["engine"])
            if args.accept:
                shutil.copyfile(fresh, HERE / "values" / f"{family}.json")
            now, committed = read_values(fresh), read_values(HERE / "values" / f"{family}.json")
            drifted += sorted(f"{name}: not in both" for name in set(now) ^ set(committed))
            found = ours.ours(family)
            for name in sorted(set(now) & set(committed)):
                moved = ours.relative_difference(committed[name].value, now[name].value)
                if moved > SAME_R:
                    drifted.append(f"{name}: committed {shown(committed[name].value)}, R {shown(now[name].value)}")
                reference = now[name]
                mine = found.get(name, np.array([np.nan]))
                rows.append(
                    {
                        "family": family,
                        "quantity": name,
                        "function": reference.function,
                        "data": reference.data,
                        "values": reference.value.size,
                        "reference": shown(reference.value),
                        "ours": shown(mine),
                        "relative_difference": ours.relative_difference(mine, reference.value),
                    }
                )
    versions = ", ".join(
        [
            str(engines.pop("R")).split(" (")[0],
            *(f"{package} {version}" for package, version in sorted(engines.items())),
        ]
    )
    write_table(args.out, rows, versions)
    differing = [row for row in rows if not row["relative_difference"] < TOLERANCE]
    worst = max(float(row["relative_difference"]) for row in rows)
    print(f"{len(rows)} quantities ({versions}); largest relative difference {worst:.1e}; table in {args.out}")
    for line in drifted:
        print(f"committed value is not R's: {line}")
    for row in differing:
        print(f"differs from R: {row['quantity']}: R {row['reference']}, ours {row['ours']}")
    return 1 if drifted or differing else 0


def write_table(folder: Path, rows: list[dict[str, str | float]], versions: str) -> None:
    """Write ``agreement.csv``, from which the paper's supplement takes its table."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "agreement.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, [*rows[0], "versions"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {**row, "relative_difference": f"{row['relative_difference']:.1e}", "versions": versions} for row in rows
        )


if __name__ == "__main__":
    raise SystemExit(main())
