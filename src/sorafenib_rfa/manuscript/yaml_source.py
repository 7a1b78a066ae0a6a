"""YAML files of the manuscript, read so that errors can name their lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from sorafenib_rfa.manuscript.errors import ManuscriptError, problem_at

LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML has it: ten times as fast."""


def read_yaml(path: Path, shown: str) -> tuple[yaml.Node | None, Any]:
    """Return the nodes of a file, which know their lines, and its content.

    Raises
    ------
    ManuscriptError
        If it cannot be read or is no YAML, at its line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.compose(text, Loader=LOADER), yaml.load(text, Loader=LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        message = f"the file cannot be read: {getattr(error, 'problem', None) or error}"
        raise ManuscriptError(problem_at((shown, mark.line + 1 if mark else 1), message)) from None
