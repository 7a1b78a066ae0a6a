"""Make an executed notebook a file that two runs write byte for byte alike."""

from __future__ import annotations

import ast
import base64
import copy
import json
import re
import struct
import sys
import zlib
from itertools import groupby
from pathlib import Path
from typing import Any, Final

KERNELSPEC: Final = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE_INFO: Final = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "nbconvert_exporter": "python",
    "pygments_lexer": "ipython3",
}
BANNER: Final = (
    "> **Synthetic data.** Everything below was computed from simulated patients. "
    "It shows how the analysis works and says nothing about real patients."
)

_PNG_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"pHYs", b"gAMA", b"sRGB"})
_ADDRESS: Final = re.compile(r"\b0x[0-9a-f]{6,16}\b")
_CELL_FILE: Final = re.compile(r"(?:/[\w.~-]+)*/ipykernel_\d+/\d+\.py")
_DATA_URI: Final = re.compile(r"(data:[\w/+.-]+;base64,[A-Za-z0-9+/=]+)")


def normalise(notebook: dict[str, Any], *, synthetic: bool, folder: Path) -> dict[str, Any]:
    """Return an executed notebook without anything that differs from run to run.

    Cell ids count the position; execution counts run from 1; metadata of papermill, timestamps and versions are
    dropped; consecutive pieces of one stream are joined; text outputs name no absolute path below `folder`, the
    environment or the home folder, and no memory address; PNG images lose their text and time chunks.

    The cell that papermill puts in with the values given is written anew: papermill formats it with black where
    that happens to be installed.

    Parameters
    ----------
    notebook : dict
        Notebook as papermill leaves it (nbformat 4).
    synthetic : bool
        Put the banner that says so on top.
    folder : Path
        Working folder of the kernel.
    """
    notebook = copy.deepcopy(notebook)
    cells = [_cell(cell) for cell in notebook["cells"]]
    if synthetic:
        cells.insert(0, {"cell_type": "markdown", "metadata": {"tags": ["synthetic"]}, "source": BANNER})
    count = 0
    for position, cell in enumerate(cells, start=1):
        cell["id"] = f"cell-{position:02d}"
        if cell["cell_type"] == "code":
            if cell["execution_count"] is not None:
                count += 1
                cell["execution_count"] = count
            cell["outputs"] = [_output(output, cell["execution_count"], folder) for output in _joined(cell["outputs"])]
    return {
        "cells": cells,
        "metadata": {"kernelspec": dict(KERNELSPEC), "language_info": dict(LANGUAGE_INFO)},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def to_bytes(notebook: dict[str, Any]) -> bytes:
    """Return a notebook as the bytes of its file: sorted keys, lists of lines, one line end at the end."""
    stored = copy.deepcopy(notebook)
    for cell in stored["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
        for output in cell.get("outputs", ()):
            if "text" in output:
                output["text"] = output["text"].splitlines(keepends=True)
            for kind, value in output.get("data", {}).items():
                if isinstance(value, str) and not kind.startswith("image/"):
                    output["data"][kind] = value.splitlines(keepends=True)
    return (json.dumps(stored, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    """Return what of a cell is kept."""
    tags = list(cell["metadata"].get("tags", []))
    source = "".join(cell["source"])
    if "injected-parameters" in tags:
        source = "\n".join(["# The values given", *map(ast.unparse, ast.parse(source).body)])
    kept = {"cell_type": cell["cell_type"], "metadata": {"tags": tags} if tags else {}, "source": source}
    if cell["cell_type"] == "code":
        kept |= {"execution_count": cell.get("execution_count"), "outputs": cell.get("outputs", [])}
    return kept


def _joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the pieces of each stream between other outputs, stdout first: when the kernel flushes depends on timing."""
    joined: list[dict[str, Any]] = []
    for streams, group in groupby(outputs, key=lambda output: output["output_type"] == "stream"):
        if not streams:
            joined.extend(group)
            continue
        texts: dict[str, str] = {"stdout": "", "stderr": ""}
        for output in group:
            texts[output["name"]] += "".join(output["text"])
        joined += [{"output_type": "stream", "name": name, "text": text} for name, text in texts.items() if text]
    return joined


def _output(output: dict[str, Any], count: int | None, folder: Path) -> dict[str, Any]:
    """Return one output without what is peculiar to a run."""
    output.pop("transient", None)
    if "execution_count" in output:
        output["execution_count"] = count
    if "text" in output:
        output["text"] = _text(output["text"], folder)
    if output["output_type"] == "error":
        output["evalue"] = _text(output["evalue"], folder)
        output["traceback"] = [_text(line, folder) for line in output["traceback"]]
    for kind, value in output.get("data", {}).items():
        if isinstance(value, list):
            value = "".join(value)
        if kind == "image/png":
            value = base64.b64encode(_png(base64.b64decode(value))).decode()
        elif isinstance(value, str) and kind.startswith("text/"):
            value = _text(value, folder)
        output["data"][kind] = value
    return output


def _text(text: str, folder: Path) -> str:
    """Return text without absolute paths and memory addresses; embedded images stay as they are."""
    return "".join(piece if number % 2 else _words(piece, folder) for number, piece in enumerate(_DATA_URI.split(text)))


def _words(text: str, folder: Path) -> str:
    """Return text that holds no image without absolute paths and memory addresses."""
    text = _CELL_FILE.sub("<cell>", text)
    places = (
        (Path(sys.prefix), "<environment>"),
        (Path(sys.base_prefix), "<python>"),
        (folder.resolve(), "."),
        (folder.absolute(), "."),
        (Path.home(), "~"),
    )
    for place, shown in places:
        # whole path components only: /usr must not change /usrlocal, nor ../usr
        text = re.sub(rf"(?<![\w.~-]){re.escape(str(place))}(?![\w.-])", shown, text) if place != place.parent else text
    return _ADDRESS.sub("0x…", text)


def _png(image: bytes) -> bytes:
    """Return a PNG without text, time and other chunks that say nothing of the picture."""
    signature, position, kept = image[:8], 8, []
    while position < len(image):
        (length,) = struct.unpack(">I", image[position : position + 4])
        kind = image[position + 4 : position + 8]
        if kind in _PNG_KEPT:
            kept.append(_chunk(kind, image[position + 8 : position + 8 + length]))
        position += length + 12
    return signature + b"".join(kept)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
