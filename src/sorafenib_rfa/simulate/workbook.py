"""Workbooks whose bytes depend on their content only."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

EPOCH = dt.datetime(2021, 1, 4)
"""Date of the exports, after the data cut-off; stands in the workbook's properties and its archive."""


def workbook_bytes(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """Return an .xlsx file with `sheets`.

    Parameters
    ----------
    sheets : mapping of str to sequence of rows
        Sheet name -> rows of cells; dates are written as workbook dates, an empty text as an empty cell.

    Returns
    -------
    bytes
        The same for the same sheets: openpyxl stamps the current time on the properties and on each archive member,
        and both are set to :data:`EPOCH`.
    """
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    book = openpyxl.Workbook(write_only=True)
    book.properties.created = book.properties.modified = EPOCH
    book.properties.creator = "hospital information system"
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        styled: dict[dt.date, Any] = {}
        for row in rows:
            cells = []
            for cell in row:
                if isinstance(cell, dt.date):
                    if cell not in styled:
                        styled[cell] = WriteOnlyCell(page, value=cell)
                        styled[cell].number_format = "yyyy-mm-dd"
                    cells.append(styled[cell])
                else:
                    cells.append(None if cell == "" else cell)
            page.append(cells)
    stream = io.BytesIO()
    book.save(stream)
    return _with_fixed_times(stream.getvalue())


def _with_fixed_times(content: bytes) -> bytes:
    import re

    stamp = EPOCH.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            data = old.read(name)
            if name == "docProps/core.xml":
                # openpyxl sets `modified` to the time of saving, whatever was asked for
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            member = zipfile.ZipInfo(name, EPOCH.timetuple()[:6])
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o600 << 16
            new.writestr(member, data)
    return target.getvalue()
