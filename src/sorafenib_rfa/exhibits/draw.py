"""Draw the figures of a cohort and save them: SVG, PDF, PNG and, beside them, the data they show.

Each figure reads curve frames and ARD rows only (columns: :mod:`sorafenib_rfa.estimates.survival` and the
``estimate_*`` functions); every number printed in it goes through :func:`sorafenib_rfa.exhibits.format.format_value`.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.errors import ConfigError, Problem
from sorafenib_rfa.estimates.parts import curve_names
from sorafenib_rfa.vocabulary import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sorafenib_rfa.exhibits.figures.canvas import Inputs

    Drawer = Callable[[Inputs], tuple[Figure, pd.DataFrame]]


def _drawer(name: str) -> Drawer:
    """Return the function that draws `name`; each family is imported only when it is drawn."""
    if name == "flow":
        from sorafenib_rfa.exhibits.figures.flow import draw_flow

        return draw_flow
    if name in ("km_rfs", "km_os", "km_ttr"):
        from sorafenib_rfa.exhibits.figures.survival import draw_km

        return lambda inputs: draw_km(inputs, name.removeprefix("km_").upper())
    if name == "cif_first_event":
        from sorafenib_rfa.exhibits.figures.survival import draw_cif_first_event

        return draw_cif_first_event
    if name == "love":
        from sorafenib_rfa.exhibits.figures.dots import draw_love

        return draw_love
    if name == "ae_dot":
        from sorafenib_rfa.exhibits.figures.adverse_events import draw_ae_dot

        return draw_ae_dot
    if name == "ae_butterfly":
        from sorafenib_rfa.exhibits.figures.adverse_events import draw_ae_butterfly

        return draw_ae_butterfly
    if name == "ae_incidence":
        from sorafenib_rfa.exhibits.figures.adverse_events import draw_ae_incidence

        return draw_ae_incidence
    if name == "edish":
        from sorafenib_rfa.exhibits.figures.liver import draw_edish

        return draw_edish
    if name == "albi_course":
        from sorafenib_rfa.exhibits.figures.liver import draw_albi_course

        return draw_albi_course
    if name == "lab_shift":
        from sorafenib_rfa.exhibits.figures.liver import draw_lab_shift

        return draw_lab_shift
    if name == "benefit_risk":
        from sorafenib_rfa.exhibits.figures.benefit_risk import draw_benefit_risk

        return draw_benefit_risk
    if name == "qtwist":
        from sorafenib_rfa.exhibits.figures.benefit_risk import draw_qtwist

        return draw_qtwist
    if name == "swimmer":
        from sorafenib_rfa.exhibits.figures.exposure import draw_swimmer

        return draw_swimmer
    if name == "duration":
        from sorafenib_rfa.exhibits.figures.exposure import draw_duration

        return draw_duration
    if name == "ltp_tumour":
        from sorafenib_rfa.exhibits.figures.ablation import draw_ltp_tumour

        return draw_ltp_tumour
    if name == "overlap":
        from sorafenib_rfa.exhibits.figures.propensity import draw_overlap

        return draw_overlap
    if name == "designs":
        from sorafenib_rfa.exhibits.figures.designs import draw_designs

        return draw_designs
    if name == "km_ccw_rfs":
        from sorafenib_rfa.exhibits.figures.designs import draw_km_ccw_rfs

        return draw_km_ccw_rfs
    if name == "effect_over_time":
        from sorafenib_rfa.exhibits.figures.time_effects import draw_effect_over_time

        return draw_effect_over_time
    if name == "centres":
        from sorafenib_rfa.exhibits.figures.time_effects import draw_centres

        return draw_centres
    if name == "cif_weighted":
        from sorafenib_rfa.exhibits.figures.time_effects import draw_cif_weighted

        return draw_cif_weighted
    if name == "mcf_repeat_rfa":
        from sorafenib_rfa.exhibits.figures.recurrence import draw_mcf_repeat_rfa

        return draw_mcf_repeat_rfa
    if name == "subgroups":
        from sorafenib_rfa.exhibits.figures.subgroups import draw_subgroups

        return draw_subgroups
    if name == "specifications":
        from sorafenib_rfa.exhibits.figures.sensitivity import draw_specifications

        return draw_specifications
    if name == "tipping":
        from sorafenib_rfa.exhibits.figures.sensitivity import draw_tipping

        return draw_tipping
    if name in ("forest_rfs", "forest_os", "forest_ttr"):
        from sorafenib_rfa.exhibits.figures.forest import draw_forest

        return lambda inputs: draw_forest(inputs, name.removeprefix("forest_").upper())
    if name == "km_prognostic":
        from sorafenib_rfa.exhibits.figures.prognosis import draw_km_prognostic

        return draw_km_prognostic
    if name == "cif_prognostic":
        from sorafenib_rfa.exhibits.figures.prognosis import draw_cif_prognostic

        return draw_cif_prognostic
    if name == "calibration":
        from sorafenib_rfa.exhibits.figures.prognosis import draw_calibration

        return draw_calibration
    if name == "evidence_flow":
        from sorafenib_rfa.exhibits.figures.evidence_flow import draw_evidence_flow

        return draw_evidence_flow
    if name == "evidence_adjuvant":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_adjuvant

        return draw_evidence_adjuvant
    if name == "evidence_tace":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_tace

        return draw_evidence_tace
    if name == "evidence_context":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_context

        return draw_evidence_context
    if name == "evidence_intervals":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_intervals

        return draw_evidence_intervals
    if name == "evidence_cumulative":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_cumulative

        return draw_evidence_cumulative
    if name == "evidence_small_studies":
        from sorafenib_rfa.exhibits.figures.evidence import draw_evidence_small_studies

        return draw_evidence_small_studies
    close = difflib.get_close_matches(name, FIGURES, n=1)
    raise ConfigError(
        Problem(
            "there is no such figure",
            found=name,
            expected=f"one of {', '.join(FIGURES)}",
            hint=f"did you mean {close[0]!r}?" if close else None,
        )
    )


@contextmanager
def styled() -> Iterator[None]:
    """Set the one style of all figures, whatever a user's matplotlibrc says."""
    import matplotlib

    style = resources.files("sorafenib_rfa.exhibits").joinpath("style.mplstyle")
    with resources.as_file(style) as path, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(matplotlib.rc_params_from_file(path, use_default_template=False))
        yield


def draw_figure(
    name: str, *, ard: pd.DataFrame, curves: Mapping[str, pd.DataFrame], cohort: CohortConfig, plan: Plan
) -> tuple[Figure, pd.DataFrame]:
    """Draw one figure.

    Parameters
    ----------
    name : str
        One of :data:`sorafenib_rfa.vocabulary.FIGURES`.
    ard : DataFrame
        All ARD rows of the cohort.
    curves : mapping
        Curve frames by name.
    cohort : CohortConfig
        Its ``synthetic`` puts "Synthetic data" into every figure.
    plan : Plan
        Landmark, events of interest.

    Returns
    -------
    figure : matplotlib.figure.Figure
    drawn : DataFrame
        What the figure shows: ``element, panel, series, x, y, low, high, text, ard_id``.

    Raises
    ------
    ConfigError
        If there is no figure of that name.
    NotOfferedError
        If the cohort lacks the curves of the figure.

    Notes
    -----
    Where the cohort offers the figure and its curve has no rows, nothing could be estimated: the figure says so, and
    the paper is built all the same.
    """
    drawer = _drawer(name)
    from sorafenib_rfa.exhibits.figures.canvas import Inputs, draw_not_estimable

    curve = curves.get(FIGURES[name])
    if FIGURES[name] in curve_names(cohort) and (curve is None or curve.empty):
        drawer = draw_not_estimable
    with styled():
        return drawer(Inputs(name, ard, curves, cohort, plan))


def _leave_out_layout_tables() -> None:
    """Embed fonts in a PDF without their tables of ligatures and kerning.

    matplotlib has placed each letter, so no reader of the file looks at them, and to cut them down to the letters used
    takes longer than all else that the PDF needs (0.15 s a figure).
    """
    from fontTools.subset import Options

    Options._drop_tables_default = sorted({*Options._drop_tables_default, "GDEF", "GPOS", "GSUB"})


def save_figure(figure: Figure, drawn: pd.DataFrame, stem: Path, *, source_date_epoch: int) -> None:
    """Save a figure as SVG, PDF and PNG (300 dpi) and what it drew as CSV; equal figures give equal bytes.

    Parameters
    ----------
    figure : Figure
    drawn : DataFrame
        As :func:`draw_figure` returns it.
    stem : Path
        Path without suffix; its folder is made.
    source_date_epoch : int
        Seconds since 1970, written into the PDF as its date.
    """
    import datetime as dt

    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from sorafenib_rfa.files import write_csv

    stem.parent.mkdir(parents=True, exist_ok=True)
    date = dt.datetime.fromtimestamp(source_date_epoch, dt.UTC)
    FigureCanvasAgg(figure)
    _leave_out_layout_tables()
    with styled():
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None, "Creator": None})
        figure.savefig(stem.with_suffix(".pdf"), metadata={"CreationDate": date, "Producer": None, "Creator": None})
        figure.savefig(stem.with_suffix(".png"), metadata={"Software": None})
    write_csv(drawn, stem.with_suffix(".csv"))
