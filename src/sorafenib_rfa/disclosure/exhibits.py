"""Tables and figures of a public release: the same code as for the paper, from the public ARD and curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import NotOfferedError, UserError
from sorafenib_rfa.vocabulary import FIGURES


def write_public_exhibits(
    ard: pd.DataFrame,
    curves: Mapping[str, pd.DataFrame],
    withheld: Mapping[str, str],
    *,
    cohort: CohortConfig,
    plan: Plan,
    tables: Path,
    figures: Path,
    source_date_epoch: int,
) -> dict[str, str]:
    """Write the tables and figures of a cohort as far as they may leave the house.

    Parameters
    ----------
    ard : DataFrame
        Public ARD.
    curves : mapping
        Public curves by name.
    withheld : mapping
        Name of each curve that is withheld -> why.
    cohort : CohortConfig
    plan : Plan
    tables, figures : Path
        Folders to write to.
    source_date_epoch : int
        Date of the PDFs, seconds.

    Returns
    -------
    dict of str to str
        Figure -> why it is withheld. Its page says that it is, so that the paper has something to show in its place.

    Notes
    -----
    A figure that cannot be drawn from what is left of its curves is withheld too, and said to be.
    """
    from sorafenib_rfa.exhibits.draw import _drawer as drawer
    from sorafenib_rfa.exhibits.draw import draw_figure, save_figure, styled
    from sorafenib_rfa.exhibits.figures.canvas import Inputs, draw_withheld
    from sorafenib_rfa.exhibits.tables import make_table, write_table

    tables.mkdir(parents=True, exist_ok=True)
    figures.mkdir(parents=True, exist_ok=True)
    for name in cohort.tables:
        made = tables / name
        if not ard["ard_id"].str.startswith(f"{_part(name)}.").any():
            continue  # of the validation: its rule makes it
        write_table(make_table(name, ard=ard, cohort=cohort, plan=plan, texts=curves), f"{made}.md", f"{made}.csv")
    reasons: dict[str, str] = {}
    for name in cohort.figures:
        inputs = Inputs(name, ard, curves, cohort, plan)
        why = None
        try:
            if FIGURES[name] in withheld:  # its other curves may still show something
                with styled():
                    figure, drawn = drawer(name)(inputs)
            else:
                figure, drawn = draw_figure(name, ard=ard, curves=curves, cohort=cohort, plan=plan)
        except NotOfferedError:
            why = withheld.get(FIGURES[name], "a curve that it needs is withheld")
        except (ArithmeticError, LookupError, TypeError, ValueError, UserError) as error:
            why = f"it cannot be drawn from what is released ({type(error).__name__})"
        if why is not None:
            reasons[name] = why
            with styled():
                figure, drawn = draw_withheld(inputs)
        save_figure(figure, drawn, figures / name, source_date_epoch=source_date_epoch)
    return reasons


def _part(table: str) -> str:
    from sorafenib_rfa.vocabulary import TABLES

    return TABLES[table]
