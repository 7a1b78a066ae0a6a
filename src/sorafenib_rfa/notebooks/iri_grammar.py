"""Reading a notebook without compiling a grammar first."""

from __future__ import annotations

import sys


def leave_out_iri_grammar() -> None:
    """Make ``import nbformat`` cheap in this process; to be called before it.

    nbformat imports jsonschema, and jsonschema imports ``rfc3987_syntax`` if there is one, which compiles the grammar
    of internationalised addresses at once: more than a second, in every job that runs a notebook and in Snakemake
    itself, which looks with nbformat at the language of every script. The schema of notebooks has no such addresses.
    A module that is None in ``sys.modules`` counts as not installed.
    """
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
