"""Render with the real Quarto, when its binary is on PATH."""

from __future__ import annotations


def find() -> str | None:
    """Return the path of Quarto's binary (``QUARTO_PATH`` or on PATH), or None."""
    import quarto

    return quarto.path()
