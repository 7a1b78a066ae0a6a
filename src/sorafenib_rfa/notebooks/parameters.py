"""The typed parameters cell of a notebook, read and checked without starting a kernel.

papermill only warns of an unknown parameter and runs on with the defaults; here that is an error, as are a missing
parameter and a value of the wrong type.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import ConfigError, Problem

REQUIRED: Final = ...
"""Default of a parameter that must be given: ``results_dir: str = ...``."""

_SCALARS: Final = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "None": (type(None),)}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    Attributes
    ----------
    name : str
    annotation : str
        Type as written: ``str, int, float, bool``, ``list[...]`` of one of these, and ``... | None``.
    default : object
        Literal, or :data:`REQUIRED`.
    """

    name: str
    annotation: str
    default: Any


def read_notebook(path: Path) -> dict[str, Any]:
    """Return a notebook's JSON.

    Raises
    ------
    ConfigError
        If the file is missing or no notebook.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        cells = content["cells"]
    except FileNotFoundError:
        there = sorted(p.stem for p in path.parent.glob("*.ipynb")) if path.parent.is_dir() else []
        raise ConfigError(
            Problem(
                "the notebook does not exist", file=str(path), expected=f"one of {there}", hint=_hint(path.stem, there)
            )
        ) from None
    except (ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise ConfigError(Problem("the file is not a notebook", file=str(path), found=str(error))) from None
    for cell in cells:
        cell["source"] = "".join(cell["source"])
    return content


def code_cells(path: Path) -> list[str]:
    """Return the source of a notebook's code cells, in order."""
    return [cell["source"] for cell in read_notebook(path)["cells"] if cell["cell_type"] == "code"]


def declared_parameters(path: Path) -> dict[str, Parameter]:
    """Return the parameters that a notebook declares in its cell tagged ``parameters``.

    Raises
    ------
    ConfigError
        If there is not exactly one such cell, if it holds anything but annotated assignments of literals, or if a
        default does not fit its type.
    """
    tagged = [
        (number, cell)
        for number, cell in enumerate(read_notebook(path)["cells"], start=1)
        if cell["cell_type"] == "code" and "parameters" in cell.get("metadata", {}).get("tags", [])
    ]
    if len(tagged) != 1:
        raise ConfigError(
            Problem(
                "a notebook has exactly one code cell tagged 'parameters'",
                file=str(path),
                found=f"{len(tagged)} of them" + (f": cells {[number for number, _ in tagged]}" if tagged else ""),
            )
        )
    number, cell = tagged[0]
    place = f"{path}, cell {number}"
    try:
        tree = ast.parse(cell["source"])
    except SyntaxError as error:
        raise ConfigError(
            Problem("the parameters cell is not Python", file=place, row=error.lineno, found=error.msg)
        ) from None
    parameters: dict[str, Parameter] = {}
    problems = []
    for node in tree.body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            continue
        found = ast.unparse(node)
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            problems.append(
                Problem(
                    "a parameter is an annotated assignment",
                    file=place,
                    row=node.lineno,
                    found=found,
                    expected="name: type = value",
                )
            )
            continue
        parameter = _declared(node, place, problems)
        if parameter is None:
            continue
        if parameter.name in parameters:
            problems.append(Problem("a parameter is declared twice", file=place, row=node.lineno, found=found))
        parameters[parameter.name] = parameter
    if problems:
        raise ConfigError(problems)
    return parameters


def _declared(node: ast.AnnAssign, place: str, problems: list[Problem]) -> Parameter | None:
    """Return the parameter of one annotated assignment; what is wrong with it goes to `problems`."""
    annotation = ast.unparse(node.annotation)
    name = node.target.id  # type: ignore[union-attr]
    try:
        default = REQUIRED if node.value is None else ast.literal_eval(node.value)
    except ValueError:
        problems.append(
            Problem(
                f"the default of {name!r} is not a literal",
                file=place,
                row=node.lineno,
                found=ast.unparse(node.value),
                expected=f"a value of type {annotation}, or ... for a parameter that must be given",
            )
        )
        return None
    try:
        fits = _fits(default, node.annotation) or default is REQUIRED
    except TypeError as error:
        problems.append(
            Problem(
                f"the type of {name!r} is not one that can be checked",
                file=place,
                row=node.lineno,
                found=str(error),
                expected="str, int, float, bool, list[...] of these, or ... | None",
            )
        )
        return None
    if not fits:
        problems.append(
            Problem(
                f"the default of {name!r} does not fit its type",
                file=place,
                row=node.lineno,
                found=repr(default),
                expected=annotation,
            )
        )
    return Parameter(name, annotation, default)


def _fits(value: Any, annotation: ast.expr) -> bool:
    """Return whether `value` is of the type that `annotation` writes; TypeError when it is no type known here."""
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return value is None
    if isinstance(annotation, ast.Name) and annotation.id in _SCALARS:
        # True is an int to Python, not to a reader
        return isinstance(value, _SCALARS[annotation.id]) and (isinstance(value, bool) == (annotation.id == "bool"))
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _fits(value, annotation.left) | _fits(value, annotation.right)
    if (
        isinstance(annotation, ast.Subscript)
        and isinstance(annotation.value, ast.Name)
        and annotation.value.id == "list"
    ):
        element = annotation.slice
        _fits("", element)  # an unknown element type is an error even for an empty list
        return isinstance(value, list) and all(_fits(item, element) for item in value)
    raise TypeError(ast.unparse(annotation))


def _hint(name: str, known: list[str]) -> str | None:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else None


def check_parameters(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the values `given` against the parameters that the notebook at `path` declares.

    Returns
    -------
    dict
        The values given, in the order of declaration.

    Raises
    ------
    ConfigError
        With one problem for every unknown parameter, missing parameter and value of the wrong type.
    """
    declared = declared_parameters(path)
    problems = []
    for name in given:
        if name not in declared:
            problems.append(
                Problem(
                    "the notebook has no such parameter",
                    file=str(path),
                    found=name,
                    expected=f"one of {list(declared)}",
                    hint=_hint(str(name), list(declared)),
                )
            )
    for name, parameter in declared.items():
        if name in given:
            value = given[name]
            if not _fits(value, ast.parse(parameter.annotation, mode="eval").body):
                problems.append(
                    Problem(
                        f"the parameter {name!r} has a value of the wrong type",
                        file=str(path),
                        found=f"{value!r} ({type(value).__name__})",
                        expected=parameter.annotation,
                    )
                )
        elif parameter.default is REQUIRED:
            problems.append(
                Problem(
                    f"the parameter {name!r} must be given",
                    file=str(path),
                    found="no value and no default",
                    expected=parameter.annotation,
                )
            )
    if problems:
        raise ConfigError(problems)
    return {name: given[name] for name in declared if name in given}
