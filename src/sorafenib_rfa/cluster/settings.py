"""The settings of a run on a cluster, each with where it comes from.

Snakemake merges profiles key by key: of a key that two of them have, or the command line too, the last one counts as a
whole, so that a ``default-resources`` takes away what an earlier one named. It says nothing of that. Here the files are
read as Snakemake reads them, and what is lost is kept beside what counts.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.provenance.plan import Option

COMMAND_LINE: Final = "command line"
DEFAULT: Final = "Snakemake's default"


@dataclass(frozen=True)
class Lost:
    """A value that does not count.

    Attributes
    ----------
    value : object
    place : str
        File and line.
    """

    value: Any
    place: str


@dataclass(frozen=True)
class Setting:
    """One setting that counts.

    Attributes
    ----------
    key : str
        As Snakemake's command line calls it, without dashes.
    value : object
    origin : str
        ``profile``, ``site``, ``config``, ``command line`` or ``Snakemake's default``.
    place : str
        File and line, or the origin again.
    lost : tuple of Lost
        What an earlier file says of the same key.
    """

    key: str
    value: Any
    origin: str
    place: str
    lost: tuple[Lost, ...] = ()


@dataclass
class Settings:
    """All settings of a run.

    Attributes
    ----------
    profile : str
    by_key : dict of str to Setting
    files : list of str
        The files that were read, in their order.
    targets : list of str
        What the command line names besides options.
    unknown : list of str
        What Snakemake's command line does not know of it.
    """

    profile: str
    by_key: dict[str, Setting] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def value(self, key: str, otherwise: Any = None) -> Any:
        """Return the value that counts."""
        return self.by_key[key].value if key in self.by_key else otherwise

    def place(self, key: str) -> str:
        """Return where a key stands."""
        return self.by_key[key].place if key in self.by_key else DEFAULT

    def put(self, key: str, value: Any, origin: str, place: str) -> None:
        """Let a value count from now on."""
        before = self.by_key.get(key)
        lost = () if before is None else (*before.lost, Lost(before.value, before.place))
        self.by_key[key] = Setting(key, value, origin, place, lost)

    @property
    def executor(self) -> str:
        """Name of the executor."""
        return str(self.value("executor", "local"))

    def resources(self, key: str) -> dict[str, str]:
        """Return ``default-resources`` as name -> expression."""
        value = self.value(key) or {}
        if isinstance(value, Mapping):
            return {str(name): str(expression) for name, expression in value.items()}
        return dict(str(entry).split("=", 1) for entry in _listed(value) if "=" in str(entry))

    def set_resources(self) -> tuple[str, ...]:
        """Return ``set-resources`` as the command line takes it."""
        value = self.value("set-resources") or {}
        if isinstance(value, Mapping):
            return tuple(
                f"{rule}:{name}={expression}" for rule, asked in value.items() for name, expression in asked.items()
            )
        return tuple(map(str, _listed(value)))

    def groups(self) -> dict[str, str]:
        """Return rule -> group."""
        value = self.value("groups") or {}
        if isinstance(value, Mapping):
            return {str(rule): str(group) for rule, group in value.items()}
        return dict(str(entry).split("=", 1) for entry in _listed(value))

    def group_components(self) -> dict[str, int]:
        """Return group -> how many of its members that do not rest on each other run as one job."""
        value = self.value("group-components") or {}
        pairs = value.items() if isinstance(value, Mapping) else (str(entry).split("=", 1) for entry in _listed(value))
        return {str(group): int(count) for group, count in pairs}


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else [value]


def profile_files(root: Path, profile: str) -> list[tuple[str, Path]]:
    """Return origin and file of the profiles of a run in the order in which ``make PROFILE=`` gives them.

    Raises
    ------
    UserError
        If there is no such profile.
    """
    folder = root / "profiles" / profile
    if not (folder / "config.yaml").is_file():
        there = sorted(path.parent.name for path in (root / "profiles").glob("*/config.yaml"))
        raise UserError(
            Problem("there is no such profile", file=f"profiles/{profile}/config.yaml", expected=", ".join(there))
        )
    names = dict.fromkeys(["default", profile])  # the default profile is no second one
    files = [("profile", root / "profiles" / name / "config.yaml") for name in names]
    return [(origin, path) for origin, path in [*files, ("site", folder / "site.yaml")] if path.is_file()]


def read_settings(root: Path, profile: str, arguments: str, options: Mapping[str, Option]) -> Settings:
    """Return the settings of a run with this profile and these further arguments of the command line.

    Parameters
    ----------
    root : Path
        The repository.
    profile : str
        A folder of ``profiles/``.
    arguments : str
        What ``ARGS=`` of make would say.
    options : mapping of str to Option
        What Snakemake's command line knows.

    Raises
    ------
    UserError
        If there is no such profile, a file of it is no YAML mapping, or the arguments cannot be read.
    """
    settings = Settings(profile)
    names = {spelling.lstrip("-"): name for name, option in options.items() for spelling in option.spellings}
    for key, value, place in _of_file(root, root / "config" / "config.yaml"):
        settings.put(f"config:{key}", value, "config", place)
    for origin, path in profile_files(root, profile):
        settings.files.append(path.relative_to(root).as_posix())
        for key, value, place in _of_file(root, path):
            settings.put(names.get(key, key), value, origin, place)
    given, settings.targets, settings.unknown = parse_arguments(arguments, options)
    for key, value in given.items():
        if key == "config":
            for entry in _listed(value):
                name, _, said = str(entry).partition("=")
                settings.put(f"config:{name}", said, COMMAND_LINE, COMMAND_LINE)
        else:
            settings.put(key, value, COMMAND_LINE, COMMAND_LINE)
    return settings


def _of_file(root: Path, path: Path) -> list[tuple[str, Any, str]]:
    """Return key, value and place of the top level of a YAML file."""
    import yaml

    shown = path.relative_to(root).as_posix()
    text = path.read_text(encoding="utf-8")
    try:
        content, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        raise UserError(Problem("this is no YAML", file=shown, found=" ".join(str(error).split()))) from None
    if content is None:
        return []
    if not isinstance(content, dict):
        raise UserError(Problem("a profile is a mapping", file=shown, found=type(content).__name__))
    lines = {key.value: key.start_mark.line + 1 for key, _ in node.value}
    return [(str(key), value, f"{shown}:{lines.get(str(key), 1)}") for key, value in content.items()]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UserError(Problem("Snakemake could not read this command line", found=message))


def parse_arguments(arguments: str, options: Mapping[str, Option]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return what a command line sets, the targets it names, and what Snakemake does not know of it.

    Raises
    ------
    UserError
        If an option lacks its value.
    """
    parser = _Parser(add_help=False, argument_default=argparse.SUPPRESS)
    for name, option in options.items():
        if option.values == 0:
            parser.add_argument(*option.spellings, dest=name, action="store_const", const=True)
        else:
            parser.add_argument(*option.spellings, dest=name, nargs=option.values)
    parser.add_argument("targets", nargs="*")
    known, unknown = parser.parse_known_args(shlex.split(arguments))
    given = vars(known)
    return given, given.pop("targets", []), [word for word in unknown if word.startswith("-")]
