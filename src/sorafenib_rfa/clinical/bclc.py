"""Stage: Barcelona Clinic Liver Cancer (BCLC), the Bolondi sub-stages of B, Milan and up-to-seven."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from sorafenib_rfa.clinical._vector import DECIMALS, Value, columns, result

STAGES: Final = ("0", "A", "B1", "B2", "B3", "B4", "C", "D")
"""Values of :func:`stage_frame`, from early to terminal."""

STAGE_COLUMNS: Final = (
    "tumour_count",
    "largest_tumour_cm",
    "ecog",
    "vascular_invasion",
    "extrahepatic_spread",
    "child_pugh_score",
)
"""Columns :func:`stage_frame` needs."""


def within_milan(tumour_count: pd.Series | Value, largest_tumour_cm: pd.Series | Value) -> Any:
    """Say whether the tumours fit the Milan criteria: one of at most 5 cm, or two or three of at most 3 cm.

    Mazzaferro V et al., N Engl J Med 1996;334:693-9. The criteria also ask for no vascular invasion and no
    extrahepatic spread, which the caller judges.

    Returns
    -------
    Series of boolean, or bool, or pd.NA
    """
    count, size, scalar = _tumours(tumour_count, largest_tumour_cm)
    return result((count.eq(1) & size.le(5)) | (count.le(3) & size.le(3)), scalar)


def within_up_to_seven(tumour_count: pd.Series | Value, largest_tumour_cm: pd.Series | Value) -> Any:
    """Say whether the number of tumours plus the diameter of the largest in cm is at most seven.

    Mazzaferro V et al., Lancet Oncol 2009;10:35-43 (the rule is recalled, high confidence).

    Returns
    -------
    Series of boolean, or bool, or pd.NA
    """
    count, size, scalar = _tumours(tumour_count, largest_tumour_cm)
    # the single bounds follow from the sum (count at least 1, size above 0); they decide where one is missing
    within = (count + size).round(DECIMALS).le(7) & count.lt(7) & size.le(6)
    return result(within, scalar)


def _tumours(count: pd.Series | Value, size_cm: pd.Series | Value) -> tuple[pd.Series, pd.Series, bool]:
    """Return count and size as nullable columns; less than one tumour, or no size, is missing."""
    frame, scalar = columns(
        {"tumour_count": "Int64", "largest_tumour_cm": "Float64"},
        {"tumour_count": count, "largest_tumour_cm": size_cm},
    )
    number = frame["tumour_count"]
    size = frame["largest_tumour_cm"].round(DECIMALS)
    return number.where(number.ge(1)), size.where(size.gt(0)), scalar


def stage_frame(df: pd.DataFrame) -> pd.Series:
    """Return each patient's BCLC stage, from the recorded facts alone.

    Parameters
    ----------
    df : DataFrame
        Columns ``tumour_count`` (Int64), ``largest_tumour_cm`` (Float64), ``ecog`` (Int64 0-4),
        ``vascular_invasion`` and ``extrahepatic_spread`` (Y/N), ``child_pugh_score`` (Int64 5-15).

    Returns
    -------
    Series of string, named ``bclc``
        One of :data:`STAGES`, or NA where what is missing could change the stage. What cannot change it
        does not matter: an ECOG of 3 is D whatever else is missing.

    Raises
    ------
    KeyError
        If a column is missing.

    Notes
    -----
    The first rule that holds decides, so that no patient falls into two stages and none into no stage:

    ======= =========================================================================================
    D       ECOG 3-4, or Child-Pugh 10-15 (class C)
    C       ECOG 1-2, or vascular invasion, or extrahepatic spread
    0       one tumour of at most 2 cm
    A       one tumour of any greater size, or two or three tumours of at most 3 cm
    B4      any other (two or three with one above 3 cm, or four and more), Child-Pugh 8-9
    B1      the same with Child-Pugh 5-7, within up-to-seven
    B2      the same with Child-Pugh 5-6, beyond up-to-seven
    B3      the same with Child-Pugh 7, beyond up-to-seven
    ======= =========================================================================================

    BCLC: Reig M et al., J Hepatol 2022;76:681-93. Sub-stages of B: Bolondi L et al., Semin Liver Dis
    2012;32:348-59 (doi 10.1055/s-0032-1329906); **the sub-stage table is recalled (high confidence), not
    read in the paper.**

    How the table's overlaps and gaps are resolved. B1 and B2 share Child-Pugh 5-6: up-to-seven parts them
    (within: B1, beyond: B2), and so it parts B1 and B3 at Child-Pugh 7. Child-Pugh 8-9 is B4 whether within
    up-to-seven or beyond ("any" in the table). The table lets B4 have ECOG 1 and has a "quasi-C" with
    portal vein thrombosis; BCLC puts both into C, and so does this function. Every multinodular tumour
    beyond A is beyond Milan, so that condition of B1 is always met. Class B liver function does not move a
    patient out of 0 or A.
    """
    frame = df.loc[:, list(STAGE_COLUMNS)]
    count, size, _ = _tumours(frame["tumour_count"], frame["largest_tumour_cm"])
    ecog = frame["ecog"].astype("Int64")
    child_pugh = frame["child_pugh_score"].astype("Int64")
    invasion = frame["vascular_invasion"].astype("string").eq("Y")
    spread = frame["extrahepatic_spread"].astype("string").eq("Y")
    single, few_small = count.eq(1), count.le(3) & size.le(3)
    rules = (
        ("D", ecog.ge(3) | child_pugh.ge(10)),
        ("C", ecog.ge(1) | invasion | spread),
        ("0", single & size.le(2)),
        # any size: the rule before told 0 from A, and left a lone tumour of unknown size without a stage
        ("A", single | few_small),
        ("B4", child_pugh.ge(8)),
        ("B1", within_up_to_seven(count, size)),
        ("B2", child_pugh.le(6)),
        ("B3", child_pugh.eq(7)),
    )
    stage = pd.Series(pd.NA, index=frame.index, dtype="string", name="bclc")
    undecided = pd.Series(True, index=frame.index)
    for name, holds in rules:
        # pandas' three-valued logic: a rule is NA when a missing value could make it true
        stage = stage.mask(undecided & holds.fillna(False).astype(bool), name)
        undecided &= ~holds.fillna(True).astype(bool)
    return stage
