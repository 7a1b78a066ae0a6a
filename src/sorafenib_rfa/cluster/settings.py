"""The settings of a run on a cluster, each with where it comes from.

Snakemake merges profiles key by key: of a key that two of them have, or the command line too, the last one counts as a
whole, so that a ``default-resources`` takes away what an earlier one named. It says nothing of that. Here the files are
read as Snakemake reads them, and what is lost is kept beside what counts.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import Problem, UserError

COMMAND_LINE: Final = "command line"
DEFAULT: Final = "Snakemake's default"
ALIASES: Final = {
    "default-res": "default-resources",
    "restart-times": "retries",
    "c": "cores",
    "j": "jobs",
    "T": "retries",
    "e": "executor",
    "k": "keep-going",
    "w": "latency-wait",
}
"""Other spellings of options, as Snakemake 9.27 takes them."""


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
    """

    profile: str
    by_key: dict[str, Setting] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)

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


def read_settings(root: Path, profile: str, arguments: str = "") -> Settings:
    """Return the settings of a run with this profile and these further arguments of the command line.

    Parameters
    ----------
    root : Path
        The repository.
    profile : str
        A folder of ``profiles/``.
    arguments : str
        What ``ARGS=`` of make would say.

    Raises
    ------
    UserError
        If there is no such profile, or a file of it is no YAML mapping.
    """
    settings = Settings(profile)
    for key, value, place in _of_file(root, root / "config" / "config.yaml"):
        settings.put(f"config:{key}", value, "config", place)
    for origin, path in profile_files(root, profile):
        settings.files.append(path.relative_to(root).as_posix())
        for key, value, place in _of_file(root, path):
            settings.put(ALIASES.get(key, key), value, origin, place)
    options, settings.targets = parse_arguments(arguments)
    for key, value in options.items():
        if key in ("config", "C"):
            for entry in _listed(value):
                name, _, said = str(entry).partition("=")
                settings.put(f"config:{name}", said, COMMAND_LINE, COMMAND_LINE)
        else:
            settings.put(ALIASES.get(key, key), value, COMMAND_LINE, COMMAND_LINE)
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


SWITCHES: Final = frozenset(
    {"keep-going", "dry-run", "n", "quiet", "q", "rerun-incomplete", "forceall", "F", "verbose"}
)
"""Options that are followed by no value: what comes after them may be a target."""


def parse_arguments(arguments: str) -> tuple[dict[str, Any], list[str]]:
    """Return the options of a command line, each with its value or values, and the targets it names.

    Only what stands before the first option, or after a switch, is taken for a target, as Snakemake advises.
    """
    options: dict[str, Any] = {}
    targets: list[str] = []
    key: str | None = None
    for word in shlex.split(arguments):
        if word.startswith("-") and not word.lstrip("-").isdigit() and word.strip("-"):
            key, _, value = word.lstrip("-").partition("=")
            options[key] = value if value else True
        elif key is None or key in SWITCHES:
            targets.append(word)
        elif options[key] is True:
            options[key] = word
        else:
            options[key] = [*_listed(options[key]), word]
    return options, targets
