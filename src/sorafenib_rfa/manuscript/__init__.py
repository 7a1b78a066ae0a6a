"""The paper: expand shortcodes to one plain text (:mod:`.expand`), render it to HTML, PDF, DOCX (:mod:`.render`)."""

from __future__ import annotations

from sorafenib_rfa.manuscript.claims import load_claims
from sorafenib_rfa.manuscript.errors import ManuscriptError
from sorafenib_rfa.manuscript.expand import Expanded, expand_manuscript
from sorafenib_rfa.manuscript.render import RenderReport, render_manuscript

__all__ = [
    "Expanded",
    "ManuscriptError",
    "RenderReport",
    "expand_manuscript",
    "load_claims",
    "render_manuscript",
]
