"""Liver function by exposure: worst CTCAE grades, decline by ALBI, and signals of severe liver injury."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sorafenib_rfa.clinical.liver import albi_grade, albi_score
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.estimates.safety_context import SafetyContext
from sorafenib_rfa.vocabulary import LAB_TESTS

ESTIMAND = "S3_LIVER"
AMINOTRANSFERASES = ("ALT", "AST")
HY_AMINOTRANSFERASE_ULN = 3.0
HY_BILIRUBIN_ULN = 2.0
HY_DAYS = 30
"""Bilirubin may follow the aminotransferase by this many days and still belong to it."""

_HY_WORDS = (
    "an aminotransferase of at least 3 and, on the day or within 30 days after, bilirubin above 2 times "
    "{yardstick}, results within the plan's days after an ablation left out; biochemical signal only (FDA guidance on "
    "drug-induced liver injury, 2009), other causes not excluded"
)


def estimate_liver(
    adlb: pd.DataFrame,
    adsl: pd.DataFrame,
    adae: pd.DataFrame,
    adex: pd.DataFrame,
    plan: Plan,
    cohort_name: str,
    record: str,
) -> Estimates:
    """Describe liver function by exposure: worst grades by test, ALBI worsening and liver signals.

    Parameters
    ----------
    adlb, adsl, adae, adex : DataFrame
        ADaM datasets.
    plan : Plan
        Windows, confidence level.
    cohort_name : str
        Its name.
    record : str
        Path of the job record.

    Returns
    -------
    Estimates
        ARD part ``liver``. Curve ``liver_peaks``: ``group, aminotransferase_uln, bilirubin_uln,
        aminotransferase_base, bilirubin_base``: one row a patient, peaks in multiples of the upper limit of normal, and
        of the larger of limit and baseline, away from ablations. Sorted by the peaks, without patient identifiers.
    """
    context = SafetyContext.prepare("liver", ESTIMAND, adsl, adae, adex, plan, cohort_name=cohort_name, record=record)
    results = results_at_risk(adlb, context.window.start, context.window.end)
    _add_worst_grades(context, results)
    _add_albi(context, results, adsl)
    return context.ard.estimates({"liver_peaks": _add_liver_signals(context, results)})


def results_at_risk(adlb: pd.DataFrame, start: pd.Series, end: pd.Series) -> pd.DataFrame:
    """Return post-baseline results within each patient's time at risk.

    Parameters
    ----------
    adlb : DataFrame
        ADaM laboratory results.
    start, end : Series of datetime64
        First and last day at risk, by USUBJID.

    Returns
    -------
    DataFrame
        ``USUBJID, test, date, day, value, uln, base, grade, base_grade, near_rfa`` (within the plan's days after an
        ablation).
    """
    frame = pd.DataFrame(
        {
            "USUBJID": texts(adlb["USUBJID"]),
            "test": texts(adlb["PARAMCD"]),
            "date": pd.to_datetime(adlb["ADT"]),
            "day": numbers(adlb["ADY"]),
            "value": numbers(adlb["AVAL"]),
            "uln": numbers(adlb["ANRHI"]),
            "base": numbers(adlb["BASE"]),
            "grade": numbers(adlb["ATOXGR"]),
            "base_grade": numbers(adlb["BTOXGR"]),
            "near_rfa": texts(adlb["PERIRFFL"]) == "Y",
        }
    )
    inside = (frame["day"] > 1) & (frame["date"] >= frame["USUBJID"].map(start))
    inside &= frame["date"] <= frame["USUBJID"].map(end)
    return frame[inside.fillna(False).astype(bool)].reset_index(drop=True)


def _tested(rows: pd.DataFrame, patients: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    """Return the patients of each group who have one of `rows`."""
    return {group: frame.loc[frame["USUBJID"].isin(rows["USUBJID"]), "USUBJID"] for group, frame in patients.items()}


def _add_worst_grades(context: SafetyContext, results: pd.DataFrame) -> None:
    """Add, of patients with a graded result away from ablations, those whose worst was grade 3 or above, or rose.

    Aminotransferases rise after every ablation, and only the unexposed are at risk from that day on: counted in, those
    results would speak for the drug.
    """
    graded = results[results["grade"].notna() & ~results["near_rfa"]]
    for test, rows in graded.groupby("test", sort=True):
        label = LAB_TESTS[str(test)][0]
        chosen = {
            "grade_3_4": (rows[rows["grade"] >= 3], f"a worst {label} of grade 3 or above"),
            "worsened": (
                rows[rows["grade"] > rows["base_grade"].fillna(0)],
                f"a {label} of a higher grade than at baseline",
            ),
        }
        for key, (hit, what) in chosen.items():
            context.proportion(
                "lab",
                _tested(hit, context.patients),
                variable=str(test),
                level=key,
                what=f"patients with {what} while at risk, results within the plan's days after an ablation left out",
                population="Patients with a graded result while at risk, away from ablations",
                denominators=_tested(rows, context.patients),
            )


def _add_albi(context: SafetyContext, results: pd.DataFrame, adsl: pd.DataFrame) -> None:
    """Add patients whose ALBI grade, from albumin and bilirubin of one day, rose above that at baseline."""
    wide = {
        test: results[results["test"] == test].groupby(["USUBJID", "date"])["value"].last() for test in ("BILI", "ALB")
    }
    pairs = pd.concat(wide, axis=1, join="inner")
    pairs = pairs[(pairs > 0).all(axis=1)].reset_index()
    grade = numbers(albi_grade(albi_score(pairs["BILI"], pairs["ALB"]))) if len(pairs) else pd.Series(dtype=float)
    baseline = adsl.assign(USUBJID=texts(adsl["USUBJID"])).set_index("USUBJID")["ALBISC"]
    before = pairs["USUBJID"].map(numbers(albi_grade(baseline)))
    comparable = before.notna()
    context.proportion(
        "lab",
        _tested(pairs[comparable & (grade > before)], context.patients),
        variable="ALBI",
        level="worsened",
        what="patients whose ALBI grade (albumin and bilirubin of one day) rose above that at baseline while at risk",
        population="Patients with an ALBI score at baseline and while at risk",
        denominators=_tested(pairs[comparable], context.patients),
    )


def _add_liver_signals(context: SafetyContext, results: pd.DataFrame) -> pd.DataFrame:
    """Add patients with the biochemical signal of Hy's law, by the limit of normal and by their own baseline."""
    away = results[~results["near_rfa"] & (results["uln"] > 0)].copy()
    away["by_uln"] = away["value"] / away["uln"]
    away["by_base"] = away["value"] / away[["uln", "base"]].max(axis=1)
    enzyme = away[away["test"].isin(AMINOTRANSFERASES)]
    bilirubin = away[away["test"] == "BILI"]
    both = _tested(enzyme[enzyme["USUBJID"].isin(bilirubin["USUBJID"])], context.patients)
    yardsticks = {
        "by_uln": ("uln", "the upper limit of normal"),
        "by_base": ("baseline", "the larger of the upper limit of normal and the patient's baseline"),
    }
    for column, (level, yardstick) in yardsticks.items():
        first = enzyme.loc[enzyme[column] >= HY_AMINOTRANSFERASE_ULN, ["USUBJID", "date"]]
        second = bilirubin.loc[bilirubin[column] > HY_BILIRUBIN_ULN, ["USUBJID", "date"]]
        pairs = first.merge(second, on="USUBJID", suffixes=("", "_bilirubin"))
        lag = (pairs["date_bilirubin"] - pairs["date"]).dt.days
        context.proportion(
            "lab",
            _tested(pairs[lag.between(0, HY_DAYS)], context.patients),
            variable="HY",
            level=level,
            what=f"patients with {_HY_WORDS.format(yardstick=yardstick)}",
            population="Patients with aminotransferases and bilirubin while at risk, away from ablations",
            denominators=both,
        )
    peaks = pd.DataFrame(
        {
            "aminotransferase_uln": enzyme.groupby("USUBJID")["by_uln"].max(),
            "bilirubin_uln": bilirubin.groupby("USUBJID")["by_uln"].max(),
            "aminotransferase_base": enzyme.groupby("USUBJID")["by_base"].max(),
            "bilirubin_base": bilirubin.groupby("USUBJID")["by_base"].max(),
        }
    ).dropna()
    group = pd.Series({i: g for g, frame in context.patients.items() for i in texts(frame["USUBJID"])}, dtype="object")
    drawn = peaks.assign(group=peaks.index.map(group)).reset_index(drop=True)
    columns = ["group", *(c for c in drawn.columns if c != "group")]
    return drawn[columns].sort_values(columns, ignore_index=True)
