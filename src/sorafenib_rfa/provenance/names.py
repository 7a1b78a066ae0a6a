"""Which names code uses: a job can only depend on a key of its parameters if its code, or code it calls, names the key.

A parameter reaches code as plain data or as a model with one attribute a key, so reading ``plan.landmark_day`` takes
the word ``landmark_day`` as an attribute, a text or an argument somewhere in the code. Where the word is nowhere,
the value cannot reach the result; where it is somewhere, it may.
"""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONFIG: Final = "src/sorafenib_rfa/config"
"""Declares and validates the keys. A name used in a function there counts for code that uses the function."""
NEVER_HANDED: Final = ("src/sorafenib_rfa/errors.py", "src/sorafenib_rfa/records/")
"""Code that every job runs and that no parameter reaches."""
WHOLESALE: Final = frozenset({"model_dump", "model_dump_json", "model_fields", "model_fields_set", "__dict__"})
"""Names by which code may read every key of a model without naming any."""


@dataclass
class Names:
    """Names used by files of code.

    Attributes
    ----------
    root : Path
        Repository root.
    """

    root: Path
    _files: dict[str, dict[str, int]] = field(default_factory=dict, init=False)
    _config: list[tuple[str, set[str]]] | None = field(default=None, init=False)

    def of_file(self, path: str) -> dict[str, int]:
        """Return name -> line of its first use in a file of Python or the code of a notebook; empty for other files."""
        if path not in self._files:
            try:
                self._files[path] = _used(ast.parse(self._source(path)))
            except (OSError, SyntaxError, ValueError):
                self._files[path] = {}
        return self._files[path]

    def _source(self, path: str) -> str:
        if not path.endswith((".py", ".ipynb")):
            return ""
        text = (self.root / path).read_text(encoding="utf-8")
        if path.endswith(".py"):
            return text
        cells = json.loads(text)["cells"]
        return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")

    def uses(self, files: list[str], name: str) -> str | None:
        """Return ``file:line`` where the first of `files` uses `name`, directly or through a model; None if none does.

        Wholesale reading of a model (``model_dump``) counts as use of every name.
        """
        through = {name, *WHOLESALE, *self._functions_that_use(name)}
        for wanted in ({name}, through):
            for path in files:
                if path.startswith((f"{CONFIG}/", *NEVER_HANDED)):
                    continue
                lines = [line for each, line in self.of_file(path).items() if each in wanted]
                if lines:
                    return f"{path}:{min(lines)}"
        return None

    def _functions_that_use(self, name: str) -> set[str]:
        if self._config is None:
            self._config = [
                (node.name, set(_used(node)))
                for file in sorted((self.root / CONFIG).glob("*.py"))
                for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            ]
        return {function for function, used in self._config if name in used}


def _used(tree: ast.AST) -> dict[str, int]:
    """Return name -> line of the first attribute, text that is a name, or keyword argument."""
    used: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            name = node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            name = node.value
        elif isinstance(node, ast.keyword) and node.arg:
            name = node.arg
        else:
            continue
        line = node.lineno
        used[name] = min(line, used.get(name, line))
    return used
