"""Store a finished validation study in the repository under a seal, or check the stored one.

``python -m sorafenib_rfa.validation.store`` takes over what ``snakemake validation_study`` made
(``--plan NAME`` when it was not the plan ``default``); ``--check`` holds the stored result against its seal and the
configuration, and the table against the stored intervals; says which code has changed since; and recomputes a cohort of
every scenario and size (``--cohorts``) and the true values of one scenario (``--truths``), which must come out with the
stored digits.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sorafenib_rfa.errors import InputError, Problem, SealError, UserError
from sorafenib_rfa.validation import INTERVALS, SEAL, STORED, TABLE

if TYPE_CHECKING:
    import pandas as pd

    from sorafenib_rfa.config.models import Plan, StudyPlan
    from sorafenib_rfa.records.record import Record

RULES = ("study_truth", "study_estimates", "study_performance")
SIMULATION = "config/cohorts/synthetic/simulation.yaml"


class Declared(NamedTuple):
    """What the configuration says: the plan of the study, the analysis plan and the regions of the sites."""

    study: StudyPlan
    plan: Plan
    regions: dict[str, str]


def declared_study(root: Path, name: str) -> Declared:
    """Return what the configuration of a repository declares.

    Parameters
    ----------
    root : Path
        Repository.
    name : str
        Plan of ``config/validation.yaml``.

    Raises
    ------
    ConfigError
        If the configuration is not valid.
    InputError
        If there is no such plan.
    """
    from sorafenib_rfa.config.load import load_study, read_yaml, validate
    from sorafenib_rfa.config.models import ValidationConfig

    shown = "config/validation.yaml"
    plans = validate(ValidationConfig, read_yaml(root / shown, shown), shown).plans
    if name not in plans:
        raise InputError(
            Problem("there is no such plan of the study", file=shown, found=name, expected=", ".join(plans))
        )
    study = load_study(root)
    sites = study.cohorts["synthetic"].sites
    return Declared(plans[name], study.plans["synthetic"], {site: sites[site].region for site in sites})


def store(root: Path, name: str) -> dict[str, Any]:
    """Copy the result of a finished study into ``validation/`` and seal it; return the seal.

    Parameters
    ----------
    root : Path
        Repository in which ``snakemake validation_study`` has run.
    name : str
        Name of the plan.

    Raises
    ------
    InputError
        If jobs of the study left no record, or ran with different code.
    SealError
        If a file is not what the job that made it recorded, or a job worked on another version of an input.
    """
    from sorafenib_rfa.records.digests import sha256_of
    from sorafenib_rfa.records.record import seal_of
    from sorafenib_rfa.records.whole import write_whole
    from sorafenib_rfa.validation.stored import FORMAT, declaration

    declared = declared_study(root, name)
    records = _records(root, name, declared.study)
    folder = f"results/synthetic/validation/study/{name}"
    sources = {TABLE: f"{folder}/performance.csv", INTERVALS: f"{folder}/intervals.parquet"}
    study = declared.study
    cohorts = len(study.scenarios) * len(study.sizes) * study.replicates
    merged = records["study_performance"][0]
    seal: dict[str, Any] = {
        "format": FORMAT,
        "made_by": f"snakemake validation_study --config validation_plan={name}",
        "plan": name,
        "declared": declaration(declared.study, declared.plan, root / SIMULATION, declared.regions),
        "files": {
            stored: {"sha256": sha256_of(root / path), "bytes": (root / path).stat().st_size}
            for stored, path in sources.items()
        },
        "code": {rule: records[rule][0].content["code"]["digest"] for rule in RULES},
        "code_files": {
            path: entry["identity"] for rule in RULES for path, entry in sorted(records[rule][0].code_files.items())
        },
        "last_record": {"path": merged.path, "seal": merged.seal},
        "environment": {
            "python": merged.content["environment"]["python"],
            "distributions": {
                package: version
                for own in records.values()
                for package, version in sorted(own[0].content["environment"]["distributions"].items())
            },
        },
        "computation": {
            "jobs": sum(map(len, records.values())),
            "cohorts": cohorts,
            "fits": cohorts * len(study.estimators),
            **_times(root, [record for own in records.values() for record in own]),
        },
        "machine": _machine(),
    }
    seal["seal"] = seal_of(seal)
    for stored, path in sources.items():
        write_whole(root / "validation" / stored, (root / path).read_bytes())
    text = json.dumps(seal, indent=1, ensure_ascii=False) + "\n"
    write_whole(root / "validation" / SEAL, text.encode())
    return seal


def _records(root: Path, name: str, study: StudyPlan) -> dict[str, list[Record]]:
    """Return the records of the study's jobs by rule, each held against its files and against those it read from."""
    from sorafenib_rfa.records.digests import sha256_of
    from sorafenib_rfa.records.record import read_record, seal_of

    stems = {
        "study_truth": [f"{name}-{scenario}" for scenario in study.scenarios],
        "study_estimates": [
            f"{name}-{scenario}-{screened}-{chunk}"
            for scenario in study.scenarios
            for screened in study.sizes
            for chunk in range(study.chunks(screened))
        ],
        "study_performance": [name],
    }
    paths = {rule: [f"results/synthetic/records/{rule}/{stem}.json" for stem in own] for rule, own in stems.items()}
    missing = [path for own in paths.values() for path in own if not (root / path).is_file()]
    if missing:
        raise InputError(
            Problem(
                f"{len(missing)} jobs of the validation study have not run",
                file=missing[0],
                hint=f"snakemake validation_study --config validation_plan={name}",
            )
        )
    records = {rule: [read_record(root, root / path) for path in own] for rule, own in paths.items()}
    seals = {record.path: record.seal for own in records.values() for record in own}
    problems = []
    for rule, own in records.items():
        if len({record.content["code"]["digest"] for record in own}) > 1:
            problems.append(Problem(f"jobs of the rule {rule} ran with different code", hint="run the study anew"))
        for record in own:
            if seal_of(record.content) != record.seal:
                problems.append(Problem("the record is not as it was written", file=record.path))
            for entry in record.outputs:
                digest = sha256_of(root / entry["path"]) if (root / entry["path"]).is_file() else "no file"
                if digest != entry["sha256"]:
                    problems.append(
                        Problem("not what its job recorded", file=entry["path"], found=digest, expected=entry["sha256"])
                    )
            for entry in record.inputs:
                maker = entry["made_by"]
                if maker is not None and seals.get(maker["record"]) != maker["seal"]:
                    problems.append(Problem(f"made anew since {record.path} read it", file=entry["path"]))
    if problems:
        raise SealError(problems)
    return records


def _times(root: Path, records: Iterable[Record]) -> dict[str, float]:
    """Return the seconds of all jobs, on the clock and of the processor, and from the first start to the last end."""
    import datetime as dt

    import pandas as pd

    clock = processor = 0.0
    starts, ends = [], []
    for record in records:
        path = root / "benchmarks/rules/synthetic" / f"{record.rule}-{Path(record.path).stem}.tsv"
        measured = pd.read_csv(path, sep="\t").iloc[0]
        clock += float(measured["s"])
        processor += float(measured["cpu_time"])
        starts.append(dt.datetime.fromisoformat(record.run["started"]))
        ends.append(dt.datetime.fromisoformat(record.run["ended"]))
    elapsed = (max(ends) - min(starts)).total_seconds()
    return {
        "job_seconds": round(clock, 1),
        "cpu_seconds": round(processor, 1),
        "first_start_to_last_end_seconds": round(elapsed, 1),
    }


def _machine() -> dict[str, Any]:
    """Return what the machine is, without its name."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        named = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = named[0] if named else processor
    return {"processor": processor, "cores": os.cpu_count(), "system": platform.system()}


def check(root: Path, *, cohorts: int = 1, truths: int = 1) -> list[str]:
    """Hold the stored result against its seal, the configuration and the code as they stand; return what was found.

    Parameters
    ----------
    root : Path
        Repository.
    cohorts : int
        Cohorts of every scenario and size to recompute, spread over those whose intervals are stored.
    truths : int
        Scenarios whose true values are recomputed, the last ones declared first.

    Raises
    ------
    SealError
        If a stored file is not what the seal says, the table not what the intervals say, or a recomputed cohort or
        true value does not come out with the stored digits.
    InputError
        If the stored result is not of the study as declared.
    """
    from sorafenib_rfa.records.code_identity import CodeIdentity
    from sorafenib_rfa.validation.stored import load_stored, sealed

    paths = [root / path for path in STORED if (root / path).is_file()]
    if len(paths) < len(STORED):
        raise InputError(Problem("there is no stored validation study", file=STORED[0]))
    name = sealed({path.name: path for path in paths})["plan"]
    declared = declared_study(root, name)
    stored = load_stored(paths, declared.study, declared.plan, root / SIMULATION, declared.regions)
    if stored.performance is None or stored.intervals is None:
        raise InputError(Problem(stored.not_run, file=f"validation/{SEAL}"))
    said = [f"validation/ holds the result of the plan {name} as it is declared, and its seal"]
    now = CodeIdentity(root).files(*(f"workflow/scripts/{rule}.py" for rule in RULES))
    before = stored.seal["code_files"]
    changed = sorted(path for path in {*now, *before} if now.get(path) != before.get(path))
    said.append(f"code changed since: {', '.join(changed)}" if changed else "code unchanged since")
    problems = table_against_intervals(stored.performance, stored.intervals, declared.plan.confidence_level)
    said.append("the table follows from the stored intervals and true values")
    for scenario in declared.study.scenarios[::-1][:truths]:
        own = stored.performance[stored.performance["scenario"] == scenario]
        problems += _other_truths(own, _true_values(root, declared, scenario))
    count = 0
    shown = int(stored.intervals["replicate"].max()) + 1
    numbers = [int((k + 0.5) * shown / cohorts) for k in range(cohorts)]
    for scenario in declared.study.scenarios:
        for screened in declared.study.sizes:
            own = stored.intervals[
                (stored.intervals["scenario"] == scenario)
                & (stored.intervals["screened"] == screened)
                & stored.intervals["replicate"].isin(numbers)
            ]
            again = _recomputed(root, declared, scenario, screened, numbers)
            problems += _differences(own, again, f"{scenario}, {screened} screened")
            count += len(numbers)
    if problems:
        raise SealError(problems)
    if truths:
        said.append(f"true values of {', '.join(declared.study.scenarios[::-1][:truths])} recomputed: as stored")
    said.append(f"{count} cohorts recomputed: all estimates and standard errors as stored")
    return said


def table_against_intervals(table: pd.DataFrame, intervals: pd.DataFrame, level: float) -> list[Problem]:
    """Return where the table is not what its true values and the stored intervals make it.

    Only cells of which all cohorts are stored can be held against them; intervals are in single precision.

    Parameters
    ----------
    table, intervals : DataFrame
        As :func:`sorafenib_rfa.validation.performance.performance` returns them.
    level : float
        Of the intervals.
    """
    import numpy as np
    from scipy.special import ndtri

    from sorafenib_rfa.validation.performance import SHOWN_REPLICATES

    z = float(ndtri(0.5 + level / 2))
    key = ["scenario", "screened", "endpoint", "estimator", "measure"]
    groups = dict(list(intervals.groupby(key, observed=True)))
    problems = []
    for row in table.to_dict("records"):
        place = tuple(row[name] for name in key)
        own = groups.get(place, intervals.iloc[:0])
        if row["replicates"] + row["failed"] > SHOWN_REPLICATES:
            continue
        if len(own) != row["replicates"]:
            problems.append(_not_of_table(place, "replicates", row["replicates"], len(own)))
            continue
        value, error = own["estimate"].to_numpy(float), own["std_err"].to_numpy(float)
        n = len(own)
        # limits in single precision: a cohort whose interval ends at the value asked about may fall to either side
        one, rounding = 1.5 / n, 1e-5 * (np.abs(value).mean() + error.mean())
        again = {
            "bias": (value.mean() - row["truth"], rounding),
            "empirical_se": (value.std(ddof=1), rounding),
            "model_se": (float(np.sqrt(np.mean(error**2))), rounding),
            "mse": (float(np.mean((value - row["truth"]) ** 2)), 4 * rounding * value.std(ddof=1) + rounding),
            "coverage": (own["covers"].mean(), 1e-12),
            "bias_eliminated_coverage": ((np.abs(value - value.mean()) <= z * error).mean(), one),
            "rejection": ((np.abs(value) > z * error).mean(), one),
        }
        if abs((np.abs(value - row["truth"]) <= z * error).mean() - row["coverage"]) > one:
            problems.append(_not_of_table(place, "coverage", row["coverage"], "otherwise by the stored limits"))
        problems += [
            _not_of_table(place, name, row[name], found)
            for name, (found, tolerance) in again.items()
            if not abs(found - row[name]) <= tolerance
        ]
    return problems


def _not_of_table(place: tuple, name: str, stored: object, found: object) -> Problem:
    return Problem(
        "the table is not what the stored intervals make it",
        file=STORED[0],
        column=name,
        found=f"{stored} ({', '.join(map(str, place))})",
        expected=str(found),
    )


def _true_values(root: Path, declared: Declared, scenario: str) -> pd.DataFrame:
    """Return the true values of a scenario by the code as it stands."""
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.truths import true_values

    study = declared.study
    return true_values(
        load_parameters(root / SIMULATION, scenario=scenario),
        declared.plan,
        declared.regions,
        list(study.estimators),
        seed=study.seed,
        screened=study.truth_screened,
    )


def _other_truths(stored: pd.DataFrame, again: pd.DataFrame) -> list[Problem]:
    """Return the true values that do not come out as they are stored."""
    key = ["endpoint", "estimator", "measure"]
    held = stored.merge(again, on=key, how="left", suffixes=("", "_again"))
    # both are written and read as text with all their digits
    wrong = held[~((held["truth"] - held["truth_again"]).abs() <= 1e-12)]
    return [
        Problem(
            "the code as it stands does not find the stored true value",
            file=STORED[0],
            column="truth",
            found=f"{row['truth']} ({', '.join(str(row[name]) for name in ('scenario', 'screened', *key))})",
            expected=str(row["truth_again"]),
            hint="run the study anew and store it",
        )
        for row in wrong.to_dict("records")
    ]


def _recomputed(root: Path, declared: Declared, scenario: str, screened: int, numbers: list[int]) -> pd.DataFrame:
    """Return the estimates of some cohorts by the code as it stands."""
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.study import simulate_estimates

    study = declared.study
    estimates = simulate_estimates(
        load_parameters(root / SIMULATION, size=screened, scenario=scenario),
        declared.plan,
        declared.regions,
        numbers,
        list(study.estimators),
        seed=study.seed,
        resamples=study.resamples,
    )
    return estimates[estimates["reason"] == ""]


def _differences(stored: pd.DataFrame, again: pd.DataFrame, where: str) -> list[Problem]:
    """Return what differs between stored and recomputed estimates, in the precision in which they are stored."""
    key = ["replicate", "endpoint", "estimator", "measure"]
    values = ["estimate", "std_err"]
    one, other = (
        frame.astype({"replicate": int} | dict.fromkeys(key[1:], str))
        .set_index(key)[values]
        .astype("float32")
        .sort_index()
        for frame in (stored, again)
    )
    if one.equals(other):
        return []
    found = one.index.symmetric_difference(other.index).tolist()
    if not found:
        found = one.index[(one != other).any(axis=1)].tolist()
    return [
        Problem(
            "the code as it stands does not find the stored estimates",
            file="validation/study_intervals.parquet",
            found=f"{len(found)} estimates differ; the first: cohort " + ", ".join(map(str, found[0])),
            expected=f"the stored ones ({where})",
            hint="run the study anew and store it",
        )
    ]


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # as in the jobs: sums must not depend on the number of cores
    parser = argparse.ArgumentParser(prog="python -m sorafenib_rfa.validation.store", description=__doc__)
    parser.add_argument("--plan", default="default", help="plan of config/validation.yaml that was run")
    parser.add_argument("--check", action="store_true", help="check the stored result instead")
    parser.add_argument("--cohorts", type=int, default=1, help="cohorts of each scenario and size to recompute")
    parser.add_argument("--truths", type=int, default=1, help="scenarios whose true values are recomputed")
    asked = parser.parse_args(arguments)
    try:
        if asked.check:
            print("\n".join(check(Path.cwd(), cohorts=asked.cohorts, truths=asked.truths)))
        else:
            seal = store(Path.cwd(), asked.plan)
            told: Mapping[str, Any] = seal["computation"]
            print(
                f"stored in validation/: {told['cohorts']:,} cohorts, {told['fits']:,} fits, "
                f"{told['cpu_seconds'] / 60:.1f} minutes of processor time"
            )
    except UserError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
