"""What all commands share: the repository's root, ``--json``, errors without traceback, text that is safe to print.

Nothing that comes from data reaches the terminal as markup or as a control character: text is printed through
:func:`plain` and never parsed. Paths stand last in their line and are never cut or broken, so they can be copied.
"""

from __future__ import annotations

import functools
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sorafenib_rfa.errors import Problem, UserError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

_HIDDEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
"""Control characters, marks that turn the direction of text, and characters that take no room."""

GOOD, BAD, NOTE, FAINT, STRONG = "green", "bold red", "yellow", "dim", "bold"
"""Styles; everything they say is also said in words, so nothing is lost without colour."""

WIDTH = 80
"""Columns where the terminal does not say how many it has."""


def plain(text: object) -> str:
    r"""Return `text` with hidden and control characters written as ``\uXXXX``."""
    return _HIDDEN.sub(lambda match: f"\\u{ord(match[0]):04x}", str(text))


def to_json(data: Any) -> str:
    """Return `data` as JSON in which hidden characters stand as escapes; NaN and infinity are null and text."""
    return _HIDDEN.sub(
        lambda match: match[0] if match[0] == "\n" else f"\\u{ord(match[0]):04x}",
        json.dumps(_jsonable(data), indent=1, ensure_ascii=False, allow_nan=False),
    )


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_jsonable(item) for item in value]
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        if value != value:
            return None
        return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")
    if hasattr(value, "item"):  # numpy's scalars
        return _jsonable(value.item())
    return str(value)


def find_root(given: str | None) -> Path:
    """Return the repository: `given`, or the nearest folder upwards with a Snakefile and ``config/config.yaml``.

    Raises
    ------
    UserError
        If there is none.
    """
    start = Path(given) if given is not None else Path.cwd()
    for folder in [start] if given is not None else [start, *start.parents]:
        if (folder / "Snakefile").is_file() and (folder / "config" / "config.yaml").is_file():
            return folder.resolve()
    raise UserError(
        Problem(
            "this is no repository of a paper" if given is not None else "no repository of a paper here or above",
            file=plain(start),
            expected="a folder with Snakefile and config/config.yaml",
            hint="go there, or name it with --root",
        )
    )


class Terminal:
    """Where a command prints.

    Attributes
    ----------
    root : Path
        Repository root.
    as_json : bool
        Whether the answer is wanted as JSON; then nothing but :meth:`json` prints to standard output.
    """

    def __init__(self, root: Path, as_json: bool, console: Console | None = None) -> None:
        self.root, self.as_json = root, as_json
        self._console = console

    @property
    def console(self) -> Console:
        """Rich's console, without its markup, emoji and guesses."""
        if self._console is None:
            from rich.console import Console

            options: dict[str, Any] = {"markup": False, "highlight": False, "emoji": False}
            if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
                options["width"] = WIDTH
            self._console = Console(**options)
        return self._console

    def json(self, data: Any) -> None:
        """Print `data` for machines."""
        sys.stdout.write(to_json(data) + "\n")

    def line(self, *pieces: str | tuple[str, str], indent: int = 0) -> None:
        """Print one line of pieces, each text or (text, style); it is neither cut nor wrapped."""
        self.console.print(_text(pieces, indent), soft_wrap=True)

    def gap(self) -> None:
        """Print an empty line."""
        self.console.print()

    def heading(self, title: str, note: str = "") -> None:
        """Print an empty line and a heading."""
        self.gap()
        self.line((title, STRONG), (f"  {note}" if note else "", FAINT))

    def prose(self, text: str, *, indent: int = 0, style: str = "", first: str = "") -> None:
        """Print `text` wrapped to the terminal, with a hanging indent behind the label `first`."""
        from rich.cells import cell_len

        width = max(self.console.width - indent - cell_len(first), 30)
        lines = _wrapped(plain(text), width) or [""]
        for number, each in enumerate(lines):
            label = first if number == 0 else " " * cell_len(first)
            self.line((label, FAINT), (each, style), indent=indent)

    def pairs(self, items: Iterable[tuple[str, str]], *, indent: int = 2) -> None:
        """Print label and text, one pair a line, the text wrapped beside its label."""
        items = [(label, text) for label, text in items if text not in ("", None)]
        wide = max((len(label) for label, _ in items), default=0) + 2
        for label, text in items:
            self.prose(text, indent=indent, first=label.ljust(wide))

    def columns(self, rows: Sequence[Sequence[str | tuple[str, str]]], *, indent: int = 2, right: str = "") -> None:
        """Print rows of cells aligned in columns; the last cell of a row is never cut.

        On a terminal too narrow for a row its last cell goes below, so that a path stays in one piece.

        Parameters
        ----------
        rows : sequence of sequences
            Cells are text or (text, style).
        indent : int
        right : str
            One letter a column: ``r`` aligns it to the right.
        """
        from rich.cells import cell_len

        cells = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
        cells = [[(plain(text), style) for text, style in row] for row in cells]
        count = max((len(row) for row in cells), default=0)
        wide = [max((cell_len(row[i][0]) for row in cells if i < len(row) - 1), default=0) for i in range(count)]
        for *head, last in cells:
            pieces: list[str | tuple[str, str]] = []
            for i, (text, style) in enumerate(head):
                fill = " " * (wide[i] - cell_len(text))
                before, after = (fill, "  ") if right[i : i + 1] == "r" else ("", f"{fill}  ")
                pieces += [before, (text, style), after]
            length = indent + sum(wide[: len(head)]) + 2 * len(head) + cell_len(last[0])
            if head and length > self.console.width and self.console.is_terminal:
                self.line(*pieces, indent=indent)
                self.line(last, indent=indent + 4)
            else:
                self.line(*pieces, last, indent=indent)

    def code(self, source: str, language: str) -> None:
        """Print source text, coloured where there are colours, hidden characters shown."""
        text = "\n".join(plain(line) for line in source.split("\n"))
        if self.console.is_terminal and not self.console.no_color:
            from rich.syntax import Syntax

            coloured = Syntax(text, language, theme="ansi_dark", background_color="default").highlight(text)
            self.console.print(coloured, soft_wrap=True, end="")
        else:
            self.console.print(text, soft_wrap=True, end="" if text.endswith("\n") else "\n")


def _text(pieces: Iterable[str | tuple[str, str]], indent: int) -> Text:
    from rich.text import Text

    result = Text(" " * indent)
    for piece in pieces:
        text, style = piece if isinstance(piece, tuple) else (piece, "")
        result.append(plain(text), style=style or None)
    result.rstrip()
    return result


def _wrapped(text: str, width: int) -> list[str]:
    """Return `text` in lines of at most `width` cells; words that are longer (paths) stay whole."""
    from rich.cells import cell_len

    if cell_len(text) == len(text):
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    number, unit = float(count), "B"
    for larger in ("kB", "MB", "GB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{number:.0f} {unit}" if unit in ("B", "kB") or number >= 10 else f"{number:.1f} {unit}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: ``1 job``, ``1,234 jobs``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


_UNREADABLE = "This cannot be answered: results are not as their jobs left them (sorafenib-rfa status)"


def _broken_seals(root: str | None) -> list[str]:
    """Return the files whose seals are broken: one that was changed after it was made need not be readable."""
    from sorafenib_rfa.records.seals import check_seals

    return [f"{breach.path}: {breach.message}" for breach in check_seals(find_root(root)) if breach.broken]


def question(function: Callable[..., int | None]) -> Callable[..., None]:
    """Make a click callback of a function that takes a :class:`Terminal` first and returns the exit code or None.

    Adds ``--json`` and ``--root``. A :class:`UserError` is printed without traceback, to standard error (with
    ``--json`` as an object with the key ``error``), and ends with code 2. What else fails over a broken seal ends with
    code 1 and names the files.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON, and nothing else.")
    @click.option("--root", metavar="FOLDER", help="The repository; default: the one around the working folder.")
    @functools.wraps(function)
    def callback(*, as_json: bool, root: str | None, **options: Any) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # a terminal that lacks a character shows its code instead
                stream.reconfigure(errors="backslashreplace")
        try:
            terminal = Terminal(find_root(root), as_json)
            code = function(terminal, **options)
        except UserError as error:
            if as_json:
                problems = [
                    {key: value for key, value in vars(problem).items() if value is not None}
                    for problem in error.problems
                ]
                sys.stdout.write(to_json({"error": str(error), "problems": problems}) + "\n")
            else:
                sys.stderr.write("\n".join(plain(line) for line in str(error).split("\n")) + "\n")
            raise SystemExit(2) from None
        except Exception:
            broken = _broken_seals(root)
            if not broken:
                raise
            if as_json:
                sys.stdout.write(to_json({"error": _UNREADABLE, "broken": broken}) + "\n")
            else:
                sys.stderr.write("\n".join(plain(line) for line in (_UNREADABLE, *broken)) + "\n")
            raise SystemExit(1) from None
        raise SystemExit(code or 0)

    return callback
