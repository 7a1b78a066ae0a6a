"""What notebooks show: numbers of the ARD in a sentence, tables, figures, the ledger. Nothing is computed here.

Every number carries the id of its ARD row (``data-ard``), so that a page can be followed back to the estimates.
"""

from __future__ import annotations

import base64
import difflib
import html
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from sorafenib_rfa.exhibits.format import escape_markdown, format_value
from sorafenib_rfa.vocabulary import ARM_SLUGS

GROUPS: Final = {slug: arm for arm, slug in ARM_SLUGS.items()} | {
    "overall": "All patients",
    "contrast": "Between the groups",
    "exposed": "Any sorafenib",
    "unexposed": "No sorafenib",
}
_BOUND: Final = re.compile(r"\[((?:[^\]\\]|\\.)*)\]\{\.val data-ard=\"[^\"]*\"\}")
"""A number in the notes of an exhibit, with the id it is bound to."""

_NUMBER: Final = re.compile(r"\{([a-z0-9_.]+)(?:\|(value|ci|interval|p))?\}")


class Shown:
    """Something a cell shows, as HTML (or Markdown) and as plain text."""

    def __init__(self, *, plain: str, page: str | None = None, markdown: str | None = None) -> None:
        self._bundle = {"text/plain": plain}
        if page is not None:
            self._bundle["text/html"] = page
        if markdown is not None:
            self._bundle["text/markdown"] = markdown

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return what IPython displays."""
        return dict(self._bundle)


class Results:
    """The results of one cohort, to be shown.

    Parameters
    ----------
    folder : str
        ``results/<cohort>``, relative to the folder in which the notebook runs.
    arms : mapping of str to str
        Slug in the ARD -> name, of arms that the cohort declares as assigned.
    """

    def __init__(self, folder: str, arms: Mapping[str, str] | None = None) -> None:
        self.folder = Path(folder)
        self.groups = GROUPS | dict(arms or {})

    @cached_property
    def _ard(self) -> dict[str, dict[str, Any]]:
        ard = pd.read_parquet(self.folder / "ard" / "ard.parquet")
        return {str(row["ard_id"]): row for row in ard.to_dict("records")}

    def _row(self, ard_id: str) -> dict[str, Any]:
        if ard_id not in self._ard:
            close = difflib.get_close_matches(ard_id, self._ard, n=3)
            raise KeyError(f"the ARD of this cohort has no row {ard_id!r}; close: {', '.join(close) or 'none'}")
        return self._ard[ard_id]

    def say(self, text: str) -> Shown:
        """Return Markdown in which ``{ARD_ID}`` and ``{ARD_ID|ci}`` (or ``|p``, ``|interval``) became numbers.

        Raises
        ------
        KeyError
            If the ARD has no such row; names the closest ids.
        """

        def number(match: re.Match[str]) -> str:
            return escape_markdown(format_value(self._row(match[1]), form=match[2] or "value"))  # type: ignore[arg-type]

        said = _NUMBER.sub(number, text)
        return Shown(plain=said, markdown=said)

    def table(self, name: str, caption: str) -> Shown:
        """Return an exhibit ``tables/<name>`` with its notes."""
        cells = pd.read_csv(self.folder / "tables" / f"{name}.csv", dtype={"text": str}, keep_default_na=False)
        rows = [
            [(str(cell.text), str(cell.ard_ids)) for cell in row.itertuples()]
            for _, row in cells.groupby("row", sort=True)
        ]
        # the Markdown of the exhibit holds the notes, after the table
        _, _, notes = (self.folder / "tables" / f"{name}.md").read_text(encoding="utf-8").partition("\n\n")
        notes = _BOUND.sub(r"\1", notes)
        plain = re.sub(r"\[@([\w-]+)\]", r"\1", re.sub(r"\\(.)", r"\1", notes)).strip()
        return _table(rows[0], rows[1:], caption, plain)

    def figure(self, name: str, caption: str, alt: str) -> Shown:
        """Return the saved figure ``figures/<name>.svg`` with its caption, and `alt` for those who cannot see it."""
        image = base64.b64encode((self.folder / "figures" / f"{name}.svg").read_bytes()).decode()
        page = (
            f'<figure><img src="data:image/svg+xml;base64,{image}" alt="{html.escape(alt)}">'
            f"<figcaption>{html.escape(caption)}</figcaption></figure>"
        )
        return Shown(plain=f"[figure: {alt}] {caption}", page=page)

    def rows(self, *ard_ids: str, caption: str) -> Shown:
        """Return ARD rows as a table: group, estimate with interval, p value, and how it was computed.

        An id that ends in ``*`` stands for all rows that start with it, in the order of their ids.

        Raises
        ------
        KeyError
            If the ARD has none of that id.
        """
        body = []
        for row in (row for ard_id in ard_ids for row in self._matching(ard_id)):
            interval = pd.notna(row["ci_low"]) or pd.notna(row["ci_high"])
            known = str(row["ard_id"])
            p = format_value(row, form="p").removeprefix("p ").removeprefix("= ") if pd.notna(row["p_value"]) else ""
            estimate = format_value(row, form="ci" if interval else "value").replace("95% CI ", "")
            group = self.groups.get(str(row["group"]), str(row["group"]))
            body.append([(group, ""), (str(row["method"]), ""), (estimate, known), (p, known if p else "")])
        header = [(text, "") for text in ("Group", "What, and how it was computed", "Estimate (95% CI)", "p")]
        return _table(header, body, caption)

    def _matching(self, ard_id: str) -> list[dict[str, Any]]:
        if not ard_id.endswith("*"):
            return [self._row(ard_id)]
        found = [row for name, row in sorted(self._ard.items()) if name.startswith(ard_id[:-1])]
        return found or [self._row(ard_id[:-1])]  # which says what is close

    @cached_property
    def _quarantine(self) -> pd.DataFrame:
        return pd.read_parquet(self.folder / "clean" / "quarantine.parquet")

    def quarantine_by_rule(self, caption: str) -> Shown:
        """Return how many values and rows were quarantined, and records flagged, by rule and site, from the ledger."""
        counts = self._quarantine.groupby(["rule", "scope", "site"], sort=True).size().unstack("site", fill_value=0)
        header = [("Rule", ""), ("What left", ""), *((str(site), "") for site in counts.columns), ("All", "")]
        body = [
            [(str(rule), ""), (_LOST[str(scope)], "")] + [(_count(n), "") for n in [*row.to_numpy(), row.sum()]]
            for (rule, scope), row in counts.iterrows()
        ]
        return _table(header, body, caption, "" if body else "Nothing was quarantined.")

    def quarantine_origins(self, caption: str, each: int = 1) -> Shown:
        """Return where the entries stood: the first `each` of every rule, without the value itself."""
        first = self._quarantine.sort_values(["rule", "site", "file", "row"], kind="stable").groupby("rule").head(each)
        columns = {"rule": "Rule", "site": "Site", "file": "File", "sheet": "Sheet", "row": "Row", "column": "Column",
                   "reason": "Reason"}  # fmt: skip
        body = [
            [("" if pd.isna(row[name]) else str(row[name]), "") for name in columns] for row in first.to_dict("records")
        ]
        return _table([(text, "") for text in columns.values()], body, caption, "" if body else "Nothing.")


_LOST = {"value": "single values", "row": "whole rows", "flag": "nothing: flagged"}
"""Scope of a quarantine entry -> what left."""


def _count(number: Any) -> str:
    return format_value({"value": number, "unit": "count"})


def _table(
    header: Sequence[tuple[str, str]], body: Sequence[Sequence[tuple[str, str]]], caption: str, notes: str = ""
) -> Shown:
    """Return a table of cells (text, ARD ids), as HTML and as plain text."""
    # a column is set flush right, header and all, when what is filled in it is numbers
    filled = [[row[j][0] for row in body if row[j][0]] for j in range(len(header))]
    flush = [j > 0 and bool(texts) and sum(map(_is_number, texts)) > len(texts) / 2 for j, texts in enumerate(filled)]

    def cell(tag: str, text: str, ids: str, column: int) -> str:
        numeric = ' class="number"' if flush[column] else ""
        bound = f' data-ard="{html.escape(ids)}"' if ids else ""
        return f"<{tag}{numeric}{bound}>{html.escape(text)}</{tag}>"

    lines = ["<table>", f"<caption>{html.escape(caption)}</caption>", "<thead><tr>"]
    lines += [cell("th", text, ids, j) for j, (text, ids) in enumerate(header)]
    lines += ["</tr></thead>", "<tbody>"]
    for row in body:
        if len(row) > 1 and not any(text for text, _ in row[1:]):  # the heading of the rows that follow
            lines.append(f'<tr><th class="section" colspan="{len(row)}">{html.escape(row[0][0])}</th></tr>')
        else:
            lines.append("<tr>" + "".join(cell("td", text, ids, j) for j, (text, ids) in enumerate(row)) + "</tr>")
    lines += ["</tbody>", "</table>"]
    if notes:
        lines.append(f'<p class="notes">{html.escape(notes)}</p>')
    plain = "\n".join([caption, *("\t".join(text for text, _ in row) for row in [header, *body]), notes]).rstrip()
    return Shown(plain=plain, page="\n".join(lines))


def _is_number(text: str) -> bool:
    """Return whether a cell holds a number and what goes with it, to be set flush right."""
    return bool(re.fullmatch(r"[<>]?[\u2212\d][^a-zA-Z]*(to [^a-zA-Z]*)?", text))
