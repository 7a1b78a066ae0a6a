"""Where things stand in the text: its labels, and at which of them a result is shown."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sorafenib_rfa.manuscript.source import SHORTCODE, Place, Sourced, divs, images, in_code, regions

LABEL: Final = re.compile(r"\{[^{}\n]*?#(?P<label>(?P<kind>sec|fig|tbl|eq)-[\w-]+)[^{}\n]*\}")
HEADING: Final = re.compile(r"^(?P<marks>#{1,6})\s+\S")
_SPAN_ARD: Final = re.compile(r'data-ard="((?:[^"\\]|\\.)*)"')
TITLE_BLOCK: Final = {"title": "Title", "abstract": "Abstract"}
"""What of the title block can be pointed at like a label, and how it is called in print."""


@dataclass(frozen=True)
class Whereabouts:
    """Labels of a text, and where its results stand.

    Attributes
    ----------
    labels : dict
        Label (``sec-``, ``fig-``, ``tbl-``, ``eq-``; ``title``, ``abstract``) -> place, in the order of the text.
    shown : dict
        ``cohort:ard_id`` -> labels of the sections, figures and tables that print it or a sentence about it.
    """

    labels: dict[str, Place]
    shown: dict[str, tuple[str, ...]]


def whereabouts(
    source: Sourced,
    body: int,
    *,
    cohort: str,
    claims: Mapping[str, Iterable[str]],
    figures: Mapping[str, Iterable[str]],
) -> Whereabouts:
    """Return where labels and results of a text stand.

    Parameters
    ----------
    source : Sourced
        The text with includes and tables inserted, shortcodes not expanded.
    body : int
        Number of the first line after the front matter.
    cohort : str
        The paper's cohort.
    claims : mapping
        Claim -> ids of the results it rests on or prints.
    figures : mapping
        Path of a figure as the text has it -> ``cohort:ard_id`` of what it draws.
    """
    text, starts = source.text, source.starts()
    spans = regions(text)
    labels: dict[str, Place] = dict.fromkeys(TITLE_BLOCK, source.places[0])
    current = ["abstract"] * len(source.lines)
    section = "abstract"
    for number in range(body, len(source.lines)):
        line = source.lines[number]
        found = LABEL.search(line) if "{" in line and "#" in line and not in_code(spans, starts[number]) else None
        if found:
            labels.setdefault(found["label"], source.places[number])
            if found["kind"] == "sec" and HEADING.match(line):
                section = found["label"]
        current[number] = section
    for div in divs(source.lines):
        if div.start >= body and (div.identifier or "").startswith(("fig-", "tbl-")):
            stop = len(source.lines) if div.end is None else div.end
            current[div.start : stop] = [str(div.identifier)] * (stop - div.start)
    shown: dict[str, dict[str, None]] = {}

    def note(identifier: str, label: str) -> None:
        bound = identifier if ":" in identifier else f"{cohort}:{identifier}"
        shown.setdefault(bound, {})[label] = None

    for match in SHORTCODE.finditer(text):
        words = match["body"].split()
        if len(words) < 2 or in_code(spans, match.start()):
            continue
        label = current[bisect_right(starts, match.start()) - 1]
        for identifier in [words[1]] if words[0] == "val" else claims.get(words[1], ()) if words[0] == "claim" else ():
            note(identifier, label)
    for match in _SPAN_ARD.finditer(text):
        note(match[1], current[bisect_right(starts, match.start()) - 1])
    for image in images(text):
        for identifier in figures.get(image.path.removeprefix("./"), ()):
            note(identifier, image.identifier or current[bisect_right(starts, image.start) - 1])
    return Whereabouts(labels, {identifier: tuple(found) for identifier, found in shown.items()})


def ids_of_claims(claims: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return claim -> ids of the results its conditions read or its wordings print."""
    found: dict[str, list[str]] = {}
    for name, content in claims.items():
        ids = [str(identifier) for identifier in content["ard"].values()]
        for branch in content["when"]:
            said = str(branch.get("say", branch.get("otherwise", "")))
            ids += [words[1] for m in SHORTCODE.finditer(said) if (words := m["body"].split())[0] == "val"]
        found[name] = list(dict.fromkeys(ids))
    return found
