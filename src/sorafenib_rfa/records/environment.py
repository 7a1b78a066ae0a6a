"""Which installed distributions a piece of code rests on, and which a process has imported.

Snakemake notices no change of a package unless it manages the environment itself. The versions of what a rule's code
imports, with all that those distributions require, are a tracked parameter of the rule: an upgrade reruns the jobs that
rest on the package and no others.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Final

from sorafenib_rfa.records.whole import write_whole

IMPORT_NAMES: Final = {
    "yaml": "PyYAML",
    "dateutil": "python-dateutil",
    "PIL": "pillow",
    "docx": "python-docx",
    "zmq": "pyzmq",
    "pypandoc": "pypandoc-binary",
    "mpl_toolkits": "matplotlib",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "blib2to3": "black",
    "rpds": "rpds-py",
    "jupyter_core": "jupyter-core",
    "snakemake_interface_logger_plugins": "snakemake-interface-logger-plugins",
}
"""Distributions whose import name differs from theirs, for those this repository's jobs import."""
BROUGHT_IN: Final = {
    "pandas": ("pyarrow",),
    "openpyxl": ("defusedxml", "lxml", "pillow"),
    "jupyter-client": ("ipykernel",),
}
"""What a distribution imports where it finds it, without requiring it, and what can reach a result through it."""
_FOLDER: Final = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)\.dist-info")


def normalised(name: str) -> str:
    """Return a distribution's name in the one form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Installed:
    """The distributions on the import path, by normalised name.

    Versions are read from the names of their folders and requirements are remembered in `cache`, by name and version:
    parsing the metadata of a hundred packages would cost each call of Snakemake a third of a second.
    """

    def __init__(self, path: Iterable[str] | None = None, cache: Path | None = None) -> None:
        self.path = list(sys.path if path is None else path)
        self.cache = cache
        self._dirty = False
        self._closures: dict[str, frozenset[str]] = {}

    @cached_property
    def versions(self) -> dict[str, tuple[str, Path]]:
        """Normalised name -> version and folder; the first on the path wins, as in an import."""
        found: dict[str, tuple[str, Path]] = {}
        for entry in self.path:
            folder = Path(entry or ".")
            if not folder.is_dir():
                continue
            for info in sorted(folder.glob("*.dist-info")):
                match = _FOLDER.fullmatch(info.name)
                if match:
                    found.setdefault(normalised(match["name"]), (match["version"], info))
        return found

    @cached_property
    def _requirements(self) -> dict[str, list[str]]:
        try:
            content = json.loads(self.cache.read_text(encoding="utf-8")) if self.cache else {}
            return content if isinstance(content, dict) else {}
        except (OSError, ValueError):
            return {}

    def requires(self, name: str) -> list[str]:
        """Return the normalised names of what a distribution requires here, without extras."""
        version, info = self.versions[name]
        key = f"{name}=={version}"
        if key not in self._requirements:
            from packaging.requirements import Requirement

            wanted = [Requirement(text) for text in metadata.Distribution.at(info).requires or []]
            self._requirements[key] = sorted(
                {normalised(r.name) for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})}
            )
            self._dirty = True
        return self._requirements[key]

    @cached_property
    def _providers(self) -> Mapping[str, list[str]]:
        return metadata.packages_distributions()

    def distribution_of(self, top: str) -> str | None:
        """Return the normalised name of the distribution from which `top` is imported; None if there is none."""
        name = normalised(IMPORT_NAMES.get(top, top))
        if name in self.versions:
            return name
        key = f"import {top}"
        if key not in self._requirements:
            self._requirements[key] = [normalised(n) for n in self._providers.get(top, [])][:1]
            self._dirty = True
        known = [n for n in self._requirements[key] if n in self.versions]
        return known[0] if known else None

    def behind(self, imports: Iterable[str]) -> dict[str, str]:
        """Return name -> version of the distributions that the imports rest on, with all they require.

        Parameters
        ----------
        imports : iterable of str
            Top-level names that code imports; those of the standard library and unknown ones are left out.
        """
        found: set[str] = set()
        for top in sorted(set(imports) - sys.stdlib_module_names):
            name = self.distribution_of(top)
            if name is not None:
                found |= self._closure(name)
        self._save()
        return {name: self.versions[name][0] for name in sorted(found)}

    def _closure(self, start: str) -> frozenset[str]:
        """Return a distribution with all that it rests on; asked for again and again by the rules."""
        if start not in self._closures:
            queue, found = [start], set()
            while queue:
                name = queue.pop()
                if name not in found and name in self.versions:
                    found.add(name)
                    queue.extend([*self.requires(name), *BROUGHT_IN.get(name, ())])
            self._closures[start] = frozenset(found)
        return self._closures[start]

    def _save(self) -> None:
        if self.cache is not None and self._dirty:
            write_whole(self.cache, json.dumps(self._requirements, sort_keys=True).encode())
            self._dirty = False


def imported_distributions() -> dict[str, str]:
    """Return name -> version of the installed distributions from which this process has imported."""
    versions: dict[str, str] = {}
    tops = {name.partition(".")[0] for name, module in list(sys.modules.items()) if module is not None}
    # the map from import names to distributions reads every RECORD (0.2 s); only names not listed here need it
    missing = set()
    for top in tops - sys.stdlib_module_names:
        module = sys.modules.get(top)
        if top.startswith("_") or top == "sorafenib_rfa" or not getattr(module, "__file__", None):
            continue
        if top.endswith("__mypyc"):  # what compiled modules share: belongs to no distribution by name
            continue
        try:
            described = metadata.distribution(IMPORT_NAMES.get(top, top)).metadata  # parsed at each access
            versions[described["Name"]] = described["Version"]
        except metadata.PackageNotFoundError:
            missing.add(top)
    if missing:
        packages = metadata.packages_distributions()
        for top in missing:
            for name in packages.get(top, []):
                versions[name] = metadata.version(name)
    return dict(sorted(versions.items(), key=lambda item: item[0].lower()))
