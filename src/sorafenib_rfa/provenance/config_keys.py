"""Keys of the configuration by dotted name: in which file and line they stand, and where jobs' parameters hold them.

``plan.landmark_day``, ``run.seed``, ``cohorts.synthetic.eligibility``, ``cohorts.synthetic.sites.cn01.encoding``,
``cohorts.colon_adjuvant.plan.landmark_day``, ``validation.plans.default.seed``; a file (``config/plan.yaml``) is all of
its keys. Jobs do not read these files: Snakemake hands them parts of the validated content as parameters.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ABSENT = object()
"""Stands for a value that is not there, where None is a value."""
_DATE = ["publication_date", "source_date_epoch"]
"""Parameters that come from the date of publication."""


@dataclass(frozen=True)
class KeyPlace:
    """Where a key stands.

    Attributes
    ----------
    name : str
        Dotted name from the top of the configuration.
    file : str
        Relative to the repository.
    line : int
        Counted from 1.
    path : tuple of str
        The key within the file, empty for the whole file.
    value : object
        Plain data.
    """

    name: str
    file: str
    line: int
    path: tuple[str, ...]
    value: Any


def config_files(root: Path) -> dict[str, str]:
    """Return the prefix of dotted names -> file, for every file whose keys can be asked for."""
    files = {"run": "config/config.yaml", "plan": "config/plan.yaml", "validation": "config/validation.yaml"}
    for folder in sorted((root / "config" / "cohorts").glob("*")):
        prefix, shown = f"cohorts.{folder.name}", f"config/cohorts/{folder.name}"
        files[prefix] = f"{shown}/cohort.yaml"
        files[f"{prefix}.plan"] = f"{shown}/plan.yaml"
        files[f"{prefix}.simulation"] = f"{shown}/simulation.yaml"
        for site in sorted((folder / "sites").glob("*.yaml")):
            files[f"{prefix}.sites.{site.stem}"] = f"{shown}/sites/{site.name}"
    return {name: file for name, file in files.items() if (root / file).is_file()}


def find_key(root: Path, dotted: str) -> KeyPlace | None:
    """Return where the key `dotted` stands; None if there is no such key.

    A key of ``config/config.yaml`` may be written with or without ``run.``.
    """
    files = config_files(root)
    for name in (dotted, f"run.{dotted}"):
        for prefix in sorted(files, key=len, reverse=True):
            if name == prefix or name.startswith(prefix + "."):
                rest = tuple(name[len(prefix) + 1 :].split(".")) if name != prefix else ()
                found = key_in_file(root, files[prefix], rest)
                if found is not None:
                    return KeyPlace(name, files[prefix], found[0], found[1], found[2])
    return None


def key_in_file(root: Path, file: str, path: tuple[str, ...]) -> tuple[int, tuple[str, ...], Any] | None:
    """Return line, path and value of a key of a YAML file; None if it has none of this name.

    Keys may themselves hold dots (``Primary H.C.C.``): the longest that fits is taken.
    """
    import yaml

    parsed = _parsed((root / file).read_text(encoding="utf-8"))
    if parsed is None:
        return None
    node, content = parsed
    line, taken, rest = 1, [], list(path)
    while rest:
        if isinstance(node, yaml.MappingNode) and isinstance(content, Mapping):
            keys = {str(key): key for key in content}
            for length in range(len(rest), 0, -1):
                name = ".".join(rest[:length])
                if name in keys:
                    break
            else:
                return None
            key_node, node = next((k, v) for k, v in node.value if k.value == name or str(keys[name]) == k.value)
            line, content = key_node.start_mark.line + 1, content[keys[name]]
            taken.append(name)
            rest = rest[length:]
        elif isinstance(node, yaml.SequenceNode) and rest[0].isdigit() and int(rest[0]) < len(node.value):
            node, content = node.value[int(rest[0])], content[int(rest[0])]
            line = node.start_mark.line + 1
            taken.append(rest.pop(0))
        else:
            return None
    return line, tuple(taken), content


def all_keys(root: Path, depth: int = 2) -> list[str]:
    """Return the dotted names of the configuration down to `depth` levels within a file, sorted; for near guesses."""
    names: set[str] = set()
    for prefix, file in config_files(root).items():
        names.add(prefix)
        found = key_in_file(root, file, ())
        names.update(f"{prefix}.{key}" for key in _dotted(found[2] if found else None, depth))
    return sorted(names)


@functools.lru_cache(maxsize=32)
def _parsed(text: str) -> tuple[Any, Any] | None:
    """Return syntax tree and content of a YAML text, which nobody may change; None if it is none."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.compose(text, Loader=loader), yaml.load(text, Loader=loader)
    except yaml.YAMLError:
        return None


def _dotted(content: Any, depth: int) -> Iterator[str]:
    if isinstance(content, Mapping) and depth:
        for key, value in content.items():
            yield str(key)
            yield from (f"{key}.{rest}" for rest in _dotted(value, depth - 1))


def look_up(content: Any, path: tuple[str, ...]) -> Any:
    """Return what stands at `path` in plain data, or :data:`ABSENT`."""
    for part in path:
        if isinstance(content, Mapping) and part in content:
            content = content[part]
        elif isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        else:
            return ABSENT
    return content


def differences(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Return dotted key, value before and value after of whatever differs in plain data, sorted by key.

    A value that is not there is :data:`ABSENT`. Lists of plain values are compared as a whole.
    """
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        found = []
        for key in sorted({*before, *after}, key=str):
            inner = f"{path}.{key}" if path else str(key)
            found += differences(before.get(key, ABSENT), after.get(key, ABSENT), inner)
        return found
    nested = (list, dict)
    if before == after and type(before) is type(after):
        return []
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        if any(isinstance(item, nested) for item in [*before, *after]):
            return [
                difference
                for number, (old, new) in enumerate(zip(before, after, strict=True))
                for difference in differences(old, new, f"{path}.{number}")
            ]
    numbers = all(isinstance(each, int | float) and not isinstance(each, bool) for each in (before, after))
    if numbers and before == after:
        return []  # 60 and 60.0, as YAML and JSON may write the same number
    return [(path, before, after)]


def key_of_parameter(cohort: str, wildcards: Mapping[str, str], parameter: str) -> str | None:
    """Return the dotted configuration key from which a job's parameter comes; None if it comes from elsewhere.

    Parameters
    ----------
    cohort, wildcards
        Of the job.
    parameter : str
        Dotted, as :func:`differences` names it: ``plan.landmark_day``, ``sites.cn01.region``.
    """
    name, _, rest = parameter.partition(".")
    place = f"cohorts.{cohort}"
    if "study" in wildcards:  # a job of the validation study: the same names, from its own plan
        own = {"seed": "seed", "cohorts": f"sizes.{wildcards.get('screened')}"}.get(name)
        if own is not None:
            return f"validation.plans.{wildcards['study']}.{own}"
    prefix = {
        "plan": "plan",
        "cohort_config": place,
        "cohorts": "cohorts",
        "sites": f"{place}.sites",
        "site_config": f"{place}.sites.{wildcards.get('site')}",
        "study": f"validation.plans.{wildcards.get('study', 'default')}",
        "disclosure": "run.disclosure",
    }.get(name)
    if prefix is not None:
        return f"{prefix}.{rest}" if rest else prefix
    if name == "regions":
        return f"{place}.sites.{rest}.region"
    alone = {
        "seed": "run.seed",
        "publication_date": "run.publication_date",
        "source_date_epoch": "run.publication_date",
        "renderer": "run.renderer",
        "folder": f"{place}.raw",
    }
    return alone.get(name)


def place_of_parameter(root: Path, cohort: str, wildcards: Mapping[str, str], parameter: str) -> KeyPlace | None:
    """Return where the configuration key of a parameter stands, or the nearest key above it that is written."""
    dotted = key_of_parameter(cohort, wildcards, parameter)
    if dotted is None:
        return None
    if dotted.split(".")[0] == "plan":
        own = find_key(root, f"cohorts.{cohort}.{dotted}")
        if own is not None and own.path:
            return own
    while dotted:
        found = find_key(root, dotted)
        if found is not None:
            return found
        dotted = dotted.rpartition(".")[0]
    return None


def parameters_of_key(
    root: Path, name: str, path: tuple[str, ...], cohort: str, wildcards: Mapping[str, str], params: Mapping[str, Any]
) -> list[str]:
    """Return the parameters of a job, dotted, that hold a configuration key.

    Parameters
    ----------
    root : Path
        Repository root.
    name : str
        Dotted name of the key, as :class:`KeyPlace` has it.
    path : tuple of str
        The key within its file; empty for the whole file.
    cohort, wildcards, params
        Of the job.
    """
    prefix = name[: -len(".".join(path)) - 1] if path else name
    parts = prefix.split(".")

    def held(parameter: str) -> list[str]:
        content = look_up(params, tuple(parameter.split(".")))
        if content is ABSENT or (path and not (isinstance(content, Mapping) and path[0] in content)):
            return []
        return [".".join([parameter, *path])]

    if prefix == "plan":
        own = f"config/cohorts/{cohort}/plan.yaml"  # its keys replace those of the study's plan
        replaced = (root / own).is_file() and path and key_in_file(root, own, path[:1]) is not None
        return [] if replaced else held("plan")
    if prefix == "validation":
        if path and path[:2] != ("plans", wildcards.get("study", "default")):
            return []
        return [".".join(["study", *path[2:]])] if look_up(params, ("study", *path[2:])) is not ABSENT else []
    if prefix == "run":
        reaching = {"": ["seed", *_DATE, "renderer", "disclosure"], "publication_date": _DATE}
        key = path[0] if path else ""
        elsewhere = {"seed"} if "study" in wildcards else set()  # the validation study has a seed of its own
        return [each for each in reaching.get(key, [key]) if each in params and each not in elsewhere]
    if parts[0] != "cohorts" or len(parts) < 2:
        return []
    if len(parts) == 2:
        own = held("cohort_config") if parts[1] == cohort else []
        return own + held(f"cohorts.{parts[1]}") + (["folder"] if path == ("raw",) and "folder" in params else [])
    if parts[1] != cohort:
        return []
    if parts[2] == "plan":
        return held("plan")
    if parts[2] == "sites" and len(parts) == 4:
        own = held("site_config") if wildcards.get("site") == parts[3] else []
        region = [f"regions.{parts[3]}"] if path in ((), ("region",)) and "regions" in params else []
        return own + held(f"sites.{parts[3]}") + region
    return []
