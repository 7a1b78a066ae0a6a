"""How an examination names the tumours at whose edge it saw local progression: one place for clean and ADaM."""

from __future__ import annotations

import re
from typing import Final

_LIST: Final = re.compile(r"[0-9]+(?: ?\+ ?[0-9]+)*")


def tumours_named(text: str) -> frozenset[int] | None:
    """Return the tumour numbers that a cell of ``imaging.ltp_tumours`` names, or None when it is no list of numbers.

    Numbers are joined by ``+``: ``2`` or ``1+3``.
    """
    if not _LIST.fullmatch(text):
        return None
    return frozenset(int(number) for number in text.split("+"))
