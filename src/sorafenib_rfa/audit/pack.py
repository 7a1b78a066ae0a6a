"""Data in a form that a page opened from disk can load: a script that hands over compressed JSON.

A page from ``file://`` may not fetch; it may run a script beside it. Each part is one script that holds compressed
JSON as base 85 under its name, so that nothing is parsed before a reader asks for it.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd


def packed(name: str, content: Any) -> str:
    """Return the script that hands the site `content` as part `name`; same content, same bytes."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    coded = base64.b85encode(zlib.compress(text.encode("utf-8", "surrogatepass"), 9)).decode()
    return f'(self.AUDIT=self.AUDIT||{{}})[{json.dumps(name)}]="{coded}";\n'


def unpacked(script: str) -> Any:
    """Return the content of a part that :func:`packed` wrote."""
    coded = script.partition('="')[2].rpartition('"')[0]
    return json.loads(zlib.decompress(base64.b85decode(coded)))


class Pool:
    """Distinct values in the order in which they came, so that each is written once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._places: dict[Any, int] = {}

    def place(self, value: Any, key: Any = None) -> int:
        """Return the place of `value`, which is added if new; `key` stands for it where it is not hashable."""
        key = value if key is None else key
        if key not in self._places:
            self._places[key] = len(self.values)
            self.values.append(value)
        return self._places[key]


def _plain(value: Any) -> Any:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if math.isinf(value):
            return "Infinity" if value > 0 else "-Infinity"
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    return value if isinstance(value, int | str | bool) else str(value)


def columns(frame: pd.DataFrame, names: Iterable[str] | None = None) -> dict[str, Any]:
    """Return a table by columns: ``{"n": rows, "columns": {name: values}}``.

    A text column whose values repeat is ``{"levels": [...], "codes": [...]}``, -1 for a missing value.
    """
    found: dict[str, Any] = {}
    for name in names if names is not None else frame.columns:
        values = [_plain(value) for value in frame[name].tolist()]
        if any(isinstance(value, str) for value in values) and len(set(values)) < 0.7 * len(values):
            pool = Pool()
            codes = [-1 if value is None else pool.place(value) for value in values]
            found[name] = {"levels": pool.values, "codes": codes}
        else:
            found[name] = values
    return {"n": len(frame), "columns": found}


def runs(numbers: Iterable[int]) -> list[int]:
    """Return increasing numbers as ``[start, length, start, length, ...]``, each start from the end of the run before.

    Examples
    --------
    >>> runs([2, 3, 4, 9])
    [2, 3, 4, 1]
    """
    found: list[int] = []
    end = 0
    for number in sorted(set(numbers)):
        if found and number == end:
            found[-1] += 1
        else:
            found += [number - end, 1]
        end = number + 1
    return found
