"""Data in a form that a page opened from disk can load: a script that hands over compressed JSON.

A page from ``file://`` may not fetch; it may run a script beside it. Each part is one script that holds compressed
JSON (Zstandard) as text under its name, so that nothing is parsed before a reader asks for it. The text is UTF-16: each
of its characters takes two bytes and carries nearly all of them, where base 85 would waste a fifth. The byte order mark
at its head says so to a browser, whatever encoding the page or a server declares.
"""

from __future__ import annotations

import codecs
import io
import json
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

COMPRESSION_LEVEL = 22
FIRST_CHARACTER = 0x80
"""ASCII is left out, and with it all that means something in a string of JavaScript."""
SURROGATES = range(0xD800, 0xE000)
"""No characters of their own: alone they would not survive reading."""
CHARACTERS = 0x10000 - FIRST_CHARACTER - len(SURROGATES)
SHORT_CODES = 0x10000 - CHARACTERS
"""So many characters stand for 15 bits, all others for 16: truncated binary coding, which wastes 0.4 per cent."""


def packed(name: str, content: Any) -> bytes:
    """Return the script that hands the site `content` as part `name`; same content, same bytes."""
    import pyarrow as pa

    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    codec = pa.Codec("zstd", compression_level=COMPRESSION_LEVEL)
    squeezed = codec.compress(text.encode("utf-8", "surrogatepass"), asbytes=True)
    script = f'(self.AUDIT=self.AUDIT||{{}})[{json.dumps(name)}]=[{len(squeezed)},"{_as_characters(squeezed)}"];\n'
    return codecs.BOM_UTF16_LE + script.encode("utf-16-le")


def unpacked(script: bytes) -> Any:
    """Return the content of a part that :func:`packed` wrote."""
    import pyarrow as pa

    head, _, rest = script.decode("utf-16").partition(',"')
    squeezed = _as_bytes(rest.rpartition('"')[0], int(head.rpartition("[")[2]))
    with pa.CompressedInputStream(io.BytesIO(squeezed), "zstd") as stream:
        return json.loads(stream.read())


def _as_characters(data: bytes) -> str:
    found: list[str] = []
    held = bits = 0
    for byte in data + b"\0\0":  # the last character may need bits beyond the end
        held = held << 8 | byte
        bits += 8
        if bits < 16:
            continue
        bits -= 16
        value = held >> bits
        if value < 2 * SHORT_CODES:
            bits += 1
            value >>= 1
        else:
            value -= SHORT_CODES
        held &= (1 << bits) - 1
        value += FIRST_CHARACTER
        found.append(chr(value if value < SURROGATES.start else value + len(SURROGATES)))
    return "".join(found)


def _as_bytes(text: str, length: int) -> bytes:
    found = bytearray()
    held = bits = 0
    for letter in text:
        value = ord(letter) - FIRST_CHARACTER
        if ord(letter) >= SURROGATES.stop:
            value -= len(SURROGATES)
        if value < SHORT_CODES:
            held, bits = held << 15 | value, bits + 15
        else:
            held, bits = held << 16 | value + SHORT_CODES, bits + 16
        while bits >= 8:
            bits -= 8
            found.append(held >> bits)
            held &= (1 << bits) - 1
    return bytes(found[:length])


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


def numbers(coded: Sequence[int]) -> list[int]:
    """Return the numbers that :func:`runs` wrote.

    Examples
    --------
    >>> numbers([2, 3, 4, 1])
    [2, 3, 4, 9]
    """
    found: list[int] = []
    end = 0
    for gap, length in zip(coded[::2], coded[1::2], strict=True):
        end += gap + length
        found += range(end - length, end)
    return found


def nested(sets: Sequence[Collection[int]]) -> list[list[int]]:
    """Return sets as ``[container, *runs]``: the runs are of places within the smallest other set that holds them all.

    A container of -1 is everything there is: the runs are then of the numbers themselves. Sets of patients are mostly
    parts of one another (arm, endpoint, event), and within such a set their members lie closer together.

    Parameters
    ----------
    sets : sequence of collections of int
        Distinct sets of numbers from 0.

    Examples
    --------
    >>> nested([{4, 6}, {2, 4, 6}])
    [[1, 1, 2], [-1, 2, 1, 1, 1, 1, 1]]
    """
    lists = [sorted(one) for one in sets]
    masks = [sum(1 << number for number in one) for one in lists]
    by_size = sorted(range(len(lists)), key=lambda i: (len(lists[i]), i))
    found: list[list[int]] = [[] for _ in lists]
    for rank, i in enumerate(by_size):
        larger = (j for j in by_size[rank + 1 :] if not masks[i] & ~masks[j])
        container = next(larger, -1)
        if container >= 0:
            place = {number: k for k, number in enumerate(lists[container])}
            found[i] = [container, *runs(place[number] for number in lists[i])]
        else:
            found[i] = [-1, *runs(lists[i])]
    return found
