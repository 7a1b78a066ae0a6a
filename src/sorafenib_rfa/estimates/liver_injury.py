"""Signals of severe liver injury: evaluation of drug-induced serious hepatotoxicity (eDISH) and Hy's law.

Peaks stand in multiples of the upper limit of normal and, since many patients with hepatocellular carcinoma start above
it, normalised by baseline: in multiples of the larger of limit and the patient's own baseline. A plain multiple of
baseline (as in the plots called mDISH) would call a rise from a low normal value to a high normal one a signal; where
baseline is above the limit, the two are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sorafenib_rfa.clinical._vector import DECIMALS
from sorafenib_rfa.estimates.covariates import texts
from sorafenib_rfa.estimates.safety_context import COUNTED, GROUPS, SafetyContext

AMINOTRANSFERASES = ("ALT", "AST")
AMINOTRANSFERASE_AT_LEAST = 3.0
BILIRUBIN_ABOVE = 2.0
ALP_BELOW = 2.0
HY_DAYS = 30
"""Bilirubin may follow the aminotransferase, and alkaline phosphatase precede it, by so many days."""

SCALES = {
    "uln": "the upper limit of normal",
    "baseline": "the larger of the upper limit of normal and the patient's baseline",
}
QUADRANTS = {
    "normal": "Neither",
    "temple": "Temple's corollary",
    "hyperbilirubinaemia": "Hyperbilirubinaemia (cholestasis)",
    "potential_hy": "Potential Hy's law",
}
"""Quadrants of the eDISH plot and their names."""

_NEEDS_ADJUDICATION = (
    "a biochemical signal, potential Hy's law, that needs adjudication: other causes were not excluded (FDA guidance "
    "on drug-induced liver injury, 2009)"
)
_IN_QUADRANT = {
    "normal": "a peak aminotransferase below 3 and a peak bilirubin of at most 2 times {of}",
    "temple": "a peak aminotransferase of at least 3 and a peak bilirubin of at most 2 times {of} (Temple's corollary)",
    "hyperbilirubinaemia": "a peak aminotransferase below 3 and a peak bilirubin above 2 times {of}",
    "potential_hy": "a peak aminotransferase of at least 3 and a peak bilirubin above 2 times {of}, not necessarily at "
    f"one time ({_NEEDS_ADJUDICATION})",
}
_CONCURRENT = (
    "an aminotransferase of at least 3 and, on the day or within 30 days after, bilirubin above 2 times {of} "
    f"({_NEEDS_ADJUDICATION})"
)
_SIGNALS = {
    "concurrent": "",
    "without_cholestasis": "; alkaline phosphatase, the last within 30 days up to then, below 2 times that yardstick",
    "with_cholestasis": "; alkaline phosphatase, the last within 30 days up to then, 2 times that yardstick or above",
    "alp_unknown": "; alkaline phosphatase within 30 days up to then not known in such multiples",
}


@dataclass(frozen=True)
class _Signals:
    """Peaks and concurrent signals on one scale, by patient."""

    peaks: pd.DataFrame
    concurrent: pd.DataFrame


def add_liver_injury(context: SafetyContext, results: pd.DataFrame) -> pd.DataFrame:
    """Add eDISH quadrants and potential Hy's law, without the peri-RFA windows and, as a check, with them.

    Parameters
    ----------
    context : SafetyContext
        Groups; rows are added to its ARD.
    results : DataFrame
        As :func:`.liver.results_at_risk` returns them.

    Returns
    -------
    DataFrame
        Curve ``liver_peaks``: ``group, label, aminotransferase_uln, bilirubin_uln, aminotransferase_baseline,
        bilirubin_baseline, concurrent_uln, concurrent_baseline``: one row a patient with both peaks in multiples of the
        limit, away from ablations; NaN by baseline where that is not recorded. Sorted by value, without identifiers.
    """
    away = results[~results["near_rfa"]]
    drawn = {scale: _add_scale(context, away, scale, "") for scale in SCALES}
    for scale in SCALES:
        _add_scale(context, results, scale, "_with_peri_rfa")
    frame = drawn["uln"].join(drawn["baseline"], lsuffix="_uln", rsuffix="_baseline")
    frame["concurrent_baseline"] = frame["concurrent_baseline"].eq(True)
    group = {i: g for g, patients in context.patients.items() for i in texts(patients["USUBJID"])}
    frame["group"] = pd.Series(frame.index.map(group), index=frame.index, dtype="object")
    frame["label"] = frame["group"].map(GROUPS)
    columns = [
        "group",
        "label",
        *(f"{name}_{scale}" for scale in SCALES for name in ("aminotransferase", "bilirubin")),
        *(f"concurrent_{scale}" for scale in SCALES),
    ]
    return frame[columns].sort_values(columns, ignore_index=True)


def in_multiples(results: pd.DataFrame, scale: str) -> pd.DataFrame:
    """Return the results that can be given in multiples, with them as column ``multiple``.

    By ``uln`` a result needs its limit of normal; by ``baseline`` the limit and the patient's baseline. Multiples are
    rounded as the grades are, so that 3 times a limit is 3 whatever the units went through.
    """
    of = results["uln"] if scale == "uln" else results[["uln", "base"]].max(axis=1, skipna=False)
    known = (results["uln"] > 0) & (of > 0) & results["value"].notna()
    return results[known].assign(multiple=(results["value"] / of)[known].round(DECIMALS))


def quadrant(aminotransferase: pd.Series, bilirubin: pd.Series) -> pd.Series:
    """Return the quadrant of each pair of peaks, a key of :data:`QUADRANTS`."""
    right = aminotransferase >= AMINOTRANSFERASE_AT_LEAST
    upper = bilirubin > BILIRUBIN_ABOVE
    names = pd.Series("normal", index=aminotransferase.index, dtype="object")
    names = names.mask(right & ~upper, "temple").mask(~right & upper, "hyperbilirubinaemia")
    return names.mask(right & upper, "potential_hy")


def _signals(results: pd.DataFrame, scale: str) -> _Signals:
    """Return the peaks of patients with both, and signals of patients in whom both rose together."""
    rows = in_multiples(results, scale)
    enzyme = rows[rows["test"].isin(AMINOTRANSFERASES)]
    bilirubin = rows[rows["test"] == "BILI"]
    peaks = pd.DataFrame(
        {
            "aminotransferase": enzyme.groupby("USUBJID")["multiple"].max(),
            "bilirubin": bilirubin.groupby("USUBJID")["multiple"].max(),
        }
    ).dropna()
    first = enzyme.loc[enzyme["multiple"] >= AMINOTRANSFERASE_AT_LEAST, ["USUBJID", "date"]]
    second = bilirubin.loc[bilirubin["multiple"] > BILIRUBIN_ABOVE, ["USUBJID", "date"]]
    pairs = first.merge(second, on="USUBJID", suffixes=("", "_bilirubin"))
    lag = (pairs["date_bilirubin"] - pairs["date"]).dt.days
    onset = pairs.loc[lag.between(0, HY_DAYS), ["USUBJID", "date"]].drop_duplicates()
    alp = rows.loc[rows["test"] == "ALP", ["USUBJID", "date", "multiple"]]
    near = onset.merge(alp, on="USUBJID", suffixes=("", "_alp"))
    near = near[(near["date"] - near["date_alp"]).dt.days.between(0, HY_DAYS)]
    last = near.sort_values("date_alp", kind="stable").drop_duplicates(["USUBJID", "date"], keep="last")
    onset = onset.merge(last[["USUBJID", "date", "multiple"]], on=["USUBJID", "date"], how="left")
    # one rise without initial cholestasis is enough
    lowest = onset.groupby("USUBJID")["multiple"].min()
    alp_class = pd.Series("alp_unknown", index=lowest.index, dtype="object")
    alp_class = alp_class.mask(lowest < ALP_BELOW, "without_cholestasis").mask(lowest >= ALP_BELOW, "with_cholestasis")
    return _Signals(peaks, alp_class.rename("alp").to_frame())


def _members(chosen: pd.Index, patients: Mapping[str, pd.DataFrame]) -> dict[str, pd.Series]:
    return {group: frame.loc[frame["USUBJID"].isin(chosen), "USUBJID"] for group, frame in patients.items()}


def _add_scale(context: SafetyContext, results: pd.DataFrame, scale: str, suffix: str) -> pd.DataFrame:
    """Add quadrants and concurrent signals on one scale; return the peaks, with whether a signal was concurrent."""
    found = _signals(results, scale)
    of = SCALES[scale]
    window = (
        "results within the plan's days after an ablation left out"
        if not suffix
        else "results within the plan's days after an ablation counted too, as a check"
    )
    placed = _members(found.peaks.index, context.patients)
    known = "of both tests in multiples of the limit" if scale == "uln" else "of both tests, and of their baseline,"
    when = "while at risk up to recurrence" + ("" if suffix else ", away from ablations")
    population = f"Patients with results {known} {when}"
    for analysis in (f"edish{suffix}", f"hy{suffix}"):
        for group, members in placed.items():
            everyone = texts(context.patients[group]["USUBJID"])
            for stat, who, what in (
                ("total", members, "patients with both peaks"),
                (
                    "not_placed",
                    everyone[~everyone.isin(members)],
                    "patients without both peaks: no result, or no limit",
                ),
            ):
                if stat == "not_placed" and analysis.startswith("hy"):
                    continue
                context.ard.add(
                    analysis,
                    stat,
                    len(who),
                    unit="count",
                    group=group,
                    variable=scale,
                    population=population,
                    estimand_id=context.estimand,
                    engine=COUNTED,
                    method=f"{what}{' of normal' if stat == 'not_placed' else ''}"
                    f"{' or no baseline' if stat == 'not_placed' and scale == 'baseline' else ''}; {window}",
                    members=who,
                )
    where = quadrant(found.peaks["aminotransferase"], found.peaks["bilirubin"])
    for name, words in _IN_QUADRANT.items():
        context.proportion(
            f"edish{suffix}",
            _members(where.index[where == name], context.patients),
            variable=scale,
            level=name,
            what=f"patients with {words.format(of=of)}; {window}",
            population=population,
            denominators=placed,
            contrast=name == "potential_hy",
        )
    # who has a signal has both peaks, since both results are among them
    for name, words in _SIGNALS.items():
        signal = found.concurrent
        chosen = signal.index if name == "concurrent" else signal.index[signal["alp"] == name]
        context.proportion(
            f"hy{suffix}",
            _members(chosen, context.patients),
            variable=scale,
            level=name,
            what=f"patients with {_CONCURRENT.format(of=of)}{words}; {window}",
            population=population,
            denominators=placed,
            contrast=name == "concurrent",
        )
    return found.peaks.assign(concurrent=found.peaks.index.isin(found.concurrent.index))
