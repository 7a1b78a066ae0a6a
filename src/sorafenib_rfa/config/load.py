"""Read and validate everything under ``config/``; every problem of every file is reported at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from sorafenib_rfa.config.models import CohortConfig, Plan, RunConfig, SiteConfig, SiteSummary
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.estimates.parts import curve_names, estimate_parts
from sorafenib_rfa.vocabulary import FIGURES, TABLES

Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
    """Safe YAML that refuses a key written twice (plain YAML keeps the last one silently)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


@dataclass(frozen=True)
class Cohort:
    """One cohort with its sites, in the order of the site ids.

    Loading gives a :class:`SiteConfig` a site; stages after ingest are handed :class:`SiteSummary` only, so that how
    a centre exports its data cannot change what is computed from them.
    """

    name: str
    config: CohortConfig
    sites: Mapping[str, SiteConfig] | Mapping[str, SiteSummary]


@dataclass(frozen=True)
class Study:
    """All configuration of one run; ``plans`` holds the analysis plan of each cohort."""

    root: Path
    run: RunConfig
    plans: Mapping[str, Plan] = field(default_factory=dict)
    cohorts: Mapping[str, Cohort] = field(default_factory=dict)


def read_yaml(path: Path, shown_as: str) -> Any:
    """Return the content of a YAML file.

    Raises
    ------
    ConfigError
        If the file is missing, is not YAML, is not UTF-8 or repeats a key; names the line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(Problem("the file does not exist", file=shown_as)) from None
    except UnicodeDecodeError as error:
        raise ConfigError(Problem("the file is not UTF-8", file=shown_as, found=str(error))) from None
    try:
        return yaml.load(text, Loader=_UniqueKeyLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
        raise ConfigError(
            Problem(
                "the file is not valid YAML",
                file=shown_as,
                row=mark.line + 1 if mark else None,
                found=getattr(error, "problem", None) or str(error),
                hint="indent with spaces: YAML allows no tab there" if "\t" in line else None,
            )
        ) from None


def _models(annotation: Any, parts: tuple) -> list[type[BaseModel]]:
    """Return the models that may stand at the path `parts` below `annotation`, through unions, lists and maps."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if not parts:
            return [annotation]
        field = annotation.model_fields.get(parts[0])
        return [] if field is None else _models(field.annotation, parts[1:])
    arguments = get_args(annotation)
    if get_origin(annotation) is dict:
        return _models(arguments[1], parts[1:]) if parts else []
    if get_origin(annotation) is list:
        return _models(arguments[0], parts[1:]) if parts else []
    return [model for each in arguments for model in _models(each, parts)]


def validate(model: type[Model], content: Any, shown_as: str) -> Model:
    """Return `content` as `model`.

    Raises
    ------
    ConfigError
        With one problem a faulty key: the file, the dotted key, what was found and what is expected.
    """
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"a {type(content).__name__}"
        raise ConfigError(Problem("the file must be a mapping of keys", file=shown_as, found=found))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise ConfigError(_problems(model, content, error, shown_as)) from None


_BARE_WORDS = "YAML reads yes, no, on, off, true and false without quotes as truth values: write them in quotes"


def _expected(message: str) -> str:
    """Return what pydantic expected, in the words of ``config/README.md``."""
    message = message.removeprefix("Input should be ").removeprefix("a valid ")
    return re.sub(r"^dictionary.*", "a map of keys", message).replace("string", "text", 1)


def _place(content: Any, location: tuple, kind: str) -> tuple[tuple, bool]:
    """Return the path of a fault of `kind` within `content`, and whether keys of that mapping are at fault.

    Pydantic's locations also hold the names of a union's branches, which a person did not write.
    """
    path: list[Any] = []
    current = content
    for i, part in enumerate(location):
        if part == "[key]":
            return tuple(path[:-1]), True
        if isinstance(current, dict):
            by_text = {str(int(key) if isinstance(key, bool) else key): key for key in current}
            if str(part) in by_text:
                path.append(by_text[str(part)])
                current = current[path[-1]]
            elif kind == "missing" and i == len(location) - 1:
                path.append(part)
        elif isinstance(current, list) and isinstance(part, int) and part < len(current):
            path.append(part)
            current = current[part]
    return tuple(path), False


def _problems(model: type[BaseModel], content: dict, error: ValidationError, shown_as: str) -> list[Problem]:
    """Return one problem a faulty key, whatever number of a union's branches refused it."""
    faults: dict[tuple, list[Any]] = {}
    for fault in error.errors():
        path, of_key = _place(content, fault["loc"], fault["type"])
        faults.setdefault((path, of_key), []).append(fault)
    problems = []
    for (path, of_key), refused in faults.items():
        fault, value = refused[0], refused[0].get("input")
        deeper = any(other != (path, of_key) and other[0][: len(path)] == path for other in faults)
        if deeper and not of_key and isinstance(value, dict | list) and fault["type"] != "value_error":
            continue  # a branch of the union for plain values; the branch that fits the shape says what is wrong
        key = ".".join(str(part) for part in path) or "(whole file)"
        found = repr(value)
        found = found if len(found) <= 120 else found[:117] + "..."
        expected = " or ".join(dict.fromkeys(_expected(each["msg"]) for each in refused))
        message, hint = f"{key}: this value cannot be used", None
        if of_key and fault["type"] == "literal_error":
            message = f"{key}: there is no such key"
        elif fault["type"] == "value_error":  # ours: says all there is to say
            message, found, expected = f"{key}: {fault['ctx']['error']}", None, None
        elif of_key:
            message = f"{key}: keys here are texts"
            found = ", ".join(str(each["input"]) for each in refused)
            expected = "what stands in the export, in quotes"
            hint = _BARE_WORDS if isinstance(value, bool) else None
        elif fault["type"] == "extra_forbidden":
            known = [name for each in _models(model, path[:-1]) for name in each.model_fields]
            close = difflib.get_close_matches(str(path[-1]), known, n=1)
            message = f"{key}: there is no such key"
            expected = "one of " + ", ".join(known) if known else "no key of this name"
            hint = f"did you mean {close[0]!r}?" if close else None
            found = repr(path[-1])
        elif fault["type"] == "missing":
            message = f"{key}: this key is required"
            found, expected = "nothing", f"the key {path[-1]!r}"
        elif isinstance(value, bool) and fault["type"] == "string_type":
            hint = _BARE_WORDS
        elif fault["type"] == "string_pattern_mismatch":
            hint = "a name is of lower-case letters, digits and underscores" if "a-z" in expected else None
        problems.append(Problem(message, file=shown_as, found=found, expected=expected, hint=hint))
    return problems


def _unknown_exhibits(config: CohortConfig, notebooks: Path, shown_as: str) -> list[Problem]:
    """Return a problem for each figure, table or notebook that does not exist or that the cohort cannot fill."""
    parts = estimate_parts(config)
    offered = {
        "figures": {name: curve in curve_names(config) for name, curve in FIGURES.items()},
        "tables": {name: part in parts for name, part in TABLES.items()},
        "notebooks": {path.stem: True for path in sorted(notebooks.glob("*.ipynb"))},
    }
    problems = []
    for key, known in offered.items():
        for name in getattr(config, key):
            if known.get(name):
                continue
            close = difflib.get_close_matches(name, known, n=1)
            problems.append(
                Problem(
                    f"{key}: the cohort lacks what {name!r} shows"
                    if name in known
                    else f"{key}: there is no {key.removesuffix('s')} of this name",
                    file=shown_as,
                    found=f"modules: {', '.join(config.modules)}" if name in known else repr(name),
                    expected="one of " + ", ".join(each for each, fits in known.items() if fits),
                    hint=f"did you mean {close[0]!r}?" if close and name not in known else None,
                )
            )
    return problems


def load_cohort(root: Path, name: str) -> Cohort:
    """Return the cohort `name` with all its sites.

    Raises
    ------
    ConfigError
        If the cohort's folder, its ``cohort.yaml`` or its sites are missing or not valid, or if it lists a figure,
        table or notebook that does not exist.
    """
    folder = root / "config" / "cohorts" / name
    if not folder.is_dir():
        known = sorted(p.name for p in (root / "config" / "cohorts").glob("*") if (p / "cohort.yaml").exists())
        close = difflib.get_close_matches(name, known, n=1)
        raise ConfigError(
            Problem(
                "cohort: there is no such cohort",
                file="config/config.yaml or --config",
                found=repr(name),
                expected="one of " + ", ".join(known),
                hint=f"did you mean {close[0]!r}?" if close else f"make config/cohorts/{name}/cohort.yaml",
            )
        )
    shown = f"config/cohorts/{name}/cohort.yaml"
    problems: list[Problem] = []
    config: CohortConfig | None = None
    try:
        config = validate(CohortConfig, read_yaml(folder / "cohort.yaml", shown), shown)
        problems.extend(_unknown_exhibits(config, root / "notebooks", shown))
    except ConfigError as error:
        problems.extend(error.problems)
    sites: dict[str, SiteConfig] = {}
    for path in sorted((folder / "sites").glob("*.yaml")):
        shown_site = f"config/cohorts/{name}/sites/{path.name}"
        try:
            sites[path.stem] = validate(SiteConfig, read_yaml(path, shown_site), shown_site)
        except ConfigError as error:
            problems.extend(error.problems)
    of_studies = config is not None and config.offers("published_effects")
    if of_studies and sites:
        problems.append(
            Problem(
                "published evidence has no sites",
                file=f"config/cohorts/{name}/sites/",
                found=", ".join(sites),
                expected="no file: the tables of studies lie in the folder that `raw` names",
            )
        )
    if not problems and not sites and not of_studies:
        problems.append(
            Problem("the cohort has no site", file=f"config/cohorts/{name}/sites/", expected="one .yaml file a centre")
        )
    if problems or config is None:
        raise ConfigError(problems)
    return Cohort(name, config, sites)


PLAN = "config/plan.yaml"
_NEEDED_BY = {
    "sensitivity": "a cohort whose arms are formed by exposure",
    "benefit_risk": "a cohort whose arms are formed by exposure",
    "evidence": "published evidence",
}


def load_plan(root: Path, cohort: str, config: CohortConfig | None) -> Plan:
    """Return a cohort's analysis plan: ``config/plan.yaml`` with the keys of the cohort's ``plan.yaml`` in their place.

    A key of the cohort's plan replaces the study's key as a whole, so what an analysis does stands in one file.

    Raises
    ------
    ConfigError
        Naming the file in which the faulty key stands.
    """
    content = read_yaml(root / PLAN, PLAN)
    own = f"config/cohorts/{cohort}/plan.yaml"
    shown = PLAN
    if (root / own).exists():
        validate(Plan, content, PLAN)
        replaced = read_yaml(root / own, own)
        if not isinstance(replaced, dict):
            raise ConfigError(Problem("the file must be a mapping of keys", file=own))
        content, shown = {**content, **replaced}, own
    plan = validate(Plan, content, shown)
    needed = {
        "sensitivity": config is not None and config.offers("treatment"),
        "benefit_risk": config is not None and config.offers("treatment") and config.offers("adverse_events"),
        "evidence": config is not None and config.offers("published_effects"),
    }
    missing = [name for name, required in needed.items() if required and getattr(plan, name) is None]
    if missing:
        raise ConfigError(
            [
                Problem(
                    f"{name}: this key is required for {_NEEDED_BY[name]}",
                    file=shown,
                    found="nothing",
                    expected=f"the key {name!r}",
                )
                for name in missing
            ]
        )
    return plan


def load_study(root: Path, run: Mapping[str, Any] | None = None) -> Study:
    """Return the validated configuration of the repository at `root`.

    Parameters
    ----------
    root : Path
        Folder that holds ``config/``.
    run : mapping, optional
        The content of ``config/config.yaml`` with command-line overrides already merged (Snakemake's ``config``);
        read from the file when not given.

    Raises
    ------
    ConfigError
        Carrying the problems of all files.
    """
    problems: list[Problem] = []
    run_config: RunConfig | None = None
    shown_run = "config/config.yaml"
    try:
        content = dict(run) if run is not None else read_yaml(root / shown_run, shown_run)
        run_config = validate(RunConfig, content, shown_run)
    except ConfigError as error:
        problems.extend(error.problems)
    if run_config is not None:
        names = list(dict.fromkeys([*run_config.cohorts, *run_config.supplement_cohorts]))
    else:  # which cohorts are meant is not known; what is wrong with any of them is told at once all the same
        names = sorted(path.parent.name for path in (root / "config" / "cohorts").glob("*/cohort.yaml"))
    cohorts: dict[str, Cohort] = {}
    plans: dict[str, Plan] = {}
    for name in names:
        try:
            cohorts[name] = load_cohort(root, name)
        except ConfigError as error:
            problems.extend(error.problems)
        try:
            plans[name] = load_plan(root, name, cohorts[name].config if name in cohorts else None)
        except ConfigError as error:
            problems.extend(problem for problem in error.problems if problem not in problems)
    if problems or run_config is None:
        raise ConfigError(problems)
    return Study(root, run_config, plans, cohorts)
