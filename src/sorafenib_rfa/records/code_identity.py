"""What code a job runs, as a digest that changes when behaviour may change and only then.

The digest covers a script, every module of this package it imports (transitively, imports inside functions included),
the data files that lie beside those modules (styles, templates, code lists) and the cells of notebooks. Comments,
formatting, docstrings and notebook outputs do not count. It goes into the ``params`` of every rule, so Snakemake itself
reruns what changed: Snakemake's own ``code`` trigger looks at the script alone, reruns after a mere ``touch`` and
misses a changed helper module.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sorafenib_rfa.records.whole import write_whole

PACKAGE = "sorafenib_rfa"
CACHE = ".snakemake/code_identity.json"
"""Where the workflow remembers what it parsed, relative to the repository."""


_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
"""Fields of a node that hold statements, or what holds statements."""


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield a tree and every statement of it; nine of ten nodes of a tree are expressions, which hold none."""
    queue = [tree]
    for node in queue:  # grows while it is walked
        yield node
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if type(block) is list:
                queue.extend(block)


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in _statements(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
    return tree


def _imports(tree: ast.AST, package: str) -> tuple[set[str], set[str]]:
    """Return the dotted names of this package that `tree` imports, and the top-level names of other packages.

    `package` resolves relative imports.
    """
    names: set[str] = set()
    others: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names if alias.name.split(".")[0] == PACKAGE)
            others.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base]) if base else ".".join(parents)
            others.add(base.split(".")[0])
            if base.split(".")[0] == PACKAGE:
                names.add(base)
                names.update(f"{base}.{alias.name}" for alias in node.names)
    return names, others - {PACKAGE, "", "__future__"}


@dataclass(frozen=True)
class _Node:
    """One file: digests of it and of its package's data, other packages it imports, files of this one by their path."""

    described: dict[str, str]
    others: list[str]
    imported: dict[str, tuple[Path, str]]


@dataclass
class CodeIdentity:
    """Digests of the code below one repository root.

    Attributes
    ----------
    root : Path
        Repository root; source lies in ``root/src``.
    cache : Path or None
        JSON file that remembers, by the sha256 of a file's bytes, what was parsed; keyed by content, so neither
        ``touch`` nor a restored old modification time can fool it.
    """

    root: Path
    cache: Path | None = None
    _known: dict[str, dict] = field(default_factory=dict, init=False)
    _parsed: dict[Path, dict] = field(default_factory=dict, init=False)
    _modules: dict[str, list[tuple[Path, str]]] = field(default_factory=dict, init=False)
    _data: dict[Path, dict[str, str]] = field(default_factory=dict, init=False)
    _next: dict[str, _Node] = field(default_factory=dict, init=False)
    _walked: dict[tuple[str, ...], tuple[dict[str, str], set[str]]] = field(default_factory=dict, init=False)
    _dirty: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        """Read the cache; an unreadable one is started anew."""
        if self.cache is not None:
            try:
                self._known = json.loads(self.cache.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                self._known = {}

    def _parse(self, path: Path, package: str) -> dict:
        """Return the ``digest`` of one file, the local modules it ``imports`` and the ``others``."""
        if path not in self._parsed:
            content = path.read_bytes()
            head = f"{package}\0{path.suffix}\0".encode()
            key = hashlib.sha256(head + content).hexdigest()
            entry = self._known.get(key)
            if entry is None or "others" not in entry:
                if path.suffix == ".ipynb":
                    cells = json.loads(content)["cells"]
                    source = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
                    prose = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] != "code")
                else:
                    source, prose = content.decode("utf-8"), ""
                tree = ast.parse(source, filename=str(path))
                imports, others = _imports(tree, package)
                text = ast.dump(_without_docstrings(tree)) + "\0" + prose
                digest = hashlib.sha256(text.encode()).hexdigest()
                entry = {"digest": digest, "imports": sorted(imports), "others": sorted(others)}
                self._known[key] = entry
                self._dirty = True
            self._parsed[path] = entry
        return self._parsed[path]

    def _module_files(self, name: str) -> list[tuple[Path, str]]:
        """Return the file of a module and the ``__init__`` of every package above it; none if it is no module.

        Each with the package in which its relative imports are resolved.
        """
        if name not in self._modules:  # the same few modules are imported from everywhere
            parts = name.split(".")
            found: list[Path] = []
            for depth in range(1, len(parts) + 1):
                base = self.root / "src" / Path(*parts[:depth])
                if (base / "__init__.py").is_file():
                    found.append(base / "__init__.py")
                elif base.with_suffix(".py").is_file():
                    found.append(base.with_suffix(".py"))
            self._modules[name] = [(file, self._package_of(file)) for file in found]
        return self._modules[name]

    def _node(self, path: Path, package: str) -> _Node:
        """Return what a walk needs of one file: the rules share most files, and each is looked at once."""
        parsed = self._parse(path, package)
        described = {path.relative_to(self.root).as_posix(): parsed["digest"]}
        if package:
            described |= self._package_data(path.parent)
        imported = {
            str(file): (file, inside) for name in parsed["imports"] for file, inside in self._module_files(name)
        }
        return _Node(described, parsed["others"], imported)

    def _walk(self, entries: tuple[str, ...]) -> tuple[dict[str, str], set[str]]:
        if entries in self._walked:
            return self._walked[entries]
        pending = {str(self.root / entry): (self.root / entry, "") for entry in entries}
        result: dict[str, str] = {}
        others: set[str] = set()
        seen: set[str] = set()
        while pending:
            name, file = pending.popitem()
            seen.add(name)
            if name not in self._next:
                self._next[name] = self._node(*file)
            node = self._next[name]
            result.update(node.described)
            others.update(node.others)
            pending |= {each: node.imported[each] for each in node.imported.keys() - seen}
        self._save()
        self._walked[entries] = dict(sorted(result.items())), others
        return self._walked[entries]

    def files(self, *entries: str) -> dict[str, str]:
        """Return path -> digest of every file that running `entries` may execute or read from the package.

        Parameters
        ----------
        *entries : str
            Scripts and notebooks, relative to the root.
        """
        return dict(self._walk(entries)[0])

    def imports(self, *entries: str) -> set[str]:
        """Return the top-level names of other packages that the code of `entries` imports, also inside functions."""
        return set(self._walk(entries)[1])

    def route(self, entries: Iterable[str], target: str) -> list[str]:
        """Return the shortest way from one of `entries` to the file `target`, each file importing the next.

        A data file is reached through a module of its package. Empty if no entry reaches it.
        """
        queue: list[tuple[Path, str, list[str]]] = [(self.root / entry, "", [entry]) for entry in entries]
        seen = {path for path, _, _ in queue}
        for path, package, route in queue:  # grows while it is walked: breadth first
            if route[-1] == target:
                return route
            if package and target in self._package_data(path.parent):
                return [*route, target]
            for name in self._parse(path, package)["imports"]:
                for module, inside in self._module_files(name):
                    if module not in seen:
                        seen.add(module)
                        queue.append((module, inside, [*route, module.relative_to(self.root).as_posix()]))
        return []

    def _package_data(self, folder: Path) -> dict[str, str]:
        """Return path -> digest of the data files of one package: those not below a package inside of it."""
        if folder not in self._data:
            found: dict[str, str] = {}
            pending = [folder]
            while pending:
                for member in pending.pop().iterdir():
                    if member.is_dir():
                        if member.name != "__pycache__" and not (member / "__init__.py").exists():
                            pending.append(member)
                    elif member.suffix != ".py":
                        content = hashlib.sha256(member.read_bytes()).hexdigest()
                        found[member.relative_to(self.root).as_posix()] = content
            self._data[folder] = found
        return self._data[folder]

    def _package_of(self, path: Path) -> str:
        inside = path.relative_to(self.root / "src")
        return ".".join(inside.parent.parts)

    def digest(self, *entries: str) -> str:
        """Return one digest over everything that running `entries` may execute."""
        return combine(self.files(*entries).items())

    def _save(self) -> None:
        if self.cache is not None and self._dirty:
            write_whole(self.cache, json.dumps(self._known, sort_keys=True).encode())
            self._dirty = False


def combine(items: Iterable[tuple[str, str]]) -> str:
    """Return the sha256 over (path, digest) pairs in the order of their paths."""
    joined = "\n".join(f"{path} {digest}" for path, digest in sorted(items))
    return hashlib.sha256(joined.encode()).hexdigest()
