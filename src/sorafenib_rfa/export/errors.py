"""What exports and paperwork refuse to go on without."""

from __future__ import annotations

from sorafenib_rfa.errors import UserError


class ExportError(UserError):
    """A piece that an export or a form needs is missing."""

    title = "This cannot be exported"
