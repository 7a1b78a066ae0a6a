"""The albumin-bilirubin (ALBI) score in time: its mean by a mixed model, and how soon its grade worsens.

Arms are compared from the landmark on, as in :mod:`.comparison`: by exposure later on, patients would be sorted by
what happens after the scores that are compared, and nobody of the exposed could have left before the first dose. Scores
count until recurrence, since ablation, embolisation and drugs then follow ('while untreated for recurrence'), and away
from ablations. Child-Pugh cannot be followed in this way: ascites and encephalopathy are recorded at baseline only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from sorafenib_rfa.clinical.liver import albi_grade, albi_score
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.estimates.ard import ArdBuilder
from sorafenib_rfa.estimates.common import NAN, attempt, horizon, untested
from sorafenib_rfa.estimates.covariates import numbers, texts
from sorafenib_rfa.stats.errors import EmptyGroupError, EstimationError
from sorafenib_rfa.stats.mixed_model import MixedModelFit, mixed_model
from sorafenib_rfa.stats.propensity import harrell_knots, restricted_cubic_spline
from sorafenib_rfa.stats.proportions import clopper_pearson
from sorafenib_rfa.vocabulary import ARM_SLUGS, ARMS, DAYS_PER_MONTH

ENGINE = "sorafenib_rfa.stats.mixed_model"
INCIDENCE_ENGINE = "sorafenib_rfa.stats.competing_risks"
COUNTED = "sorafenib_rfa.estimates.albi"
POPULATION = "Landmark population with an ALBI score at baseline"
ORIGIN = ["SRCFILE", "SRCSHEET", "SRCROW"]
KNOTS = 4
GRID_MONTHS = 0.5
WORST_GRADE = 3
FREE, WORSE, DEATH = 0, 1, 2
DEATH_DAYS = 90
"""In a sensitivity analysis a death competes up to so many days after a score; later nobody looked any more."""

_WHICH_SCORES = (
    "scores (albumin and bilirubin of one day) from the landmark on, at the latest on the day of recurrence, without "
    "those within the plan's days after an ablation"
)


def albi_scores(adlb: pd.DataFrame) -> pd.DataFrame:
    """Return the ALBI scores that laboratory results of one day allow.

    Parameters
    ----------
    adlb : DataFrame
        ADaM laboratory results.

    Returns
    -------
    DataFrame
        One row a patient and day with albumin and bilirubin above zero, sorted: ``USUBJID, date, score, grade,
        near_rfa`` (within the plan's days after an ablation)``, SRCFILE, SRCSHEET, SRCROW`` (of the albumin).
    """
    frame = pd.DataFrame(
        {
            "USUBJID": texts(adlb["USUBJID"]).astype(object),
            "test": texts(adlb["PARAMCD"]),
            "date": pd.to_datetime(adlb["ADT"]),
            "value": numbers(adlb["AVAL"]),
            "near_rfa": texts(adlb["PERIRFFL"]) == "Y",
            **{name: adlb[name] for name in ORIGIN},
        }
    )
    frame = frame[(frame["value"] > 0) & frame["date"].notna()].drop_duplicates(
        ["USUBJID", "test", "date"], keep="last"
    )
    albumin, bilirubin = (frame[frame["test"] == test].drop(columns="test") for test in ("ALB", "BILI"))
    pairs = albumin.merge(bilirubin[["USUBJID", "date", "value"]], on=["USUBJID", "date"], suffixes=("", "_bilirubin"))
    pairs = pairs.sort_values(["USUBJID", "date"], ignore_index=True)
    score = albi_score(pairs["value_bilirubin"], pairs["value"])
    pairs = pairs.assign(
        score=numbers(score), grade=numbers(albi_grade(score)), near_rfa=pairs["near_rfa"].fillna(False).astype(bool)
    )
    return pairs[["USUBJID", "date", "score", "grade", "near_rfa", *ORIGIN]]


@dataclass(frozen=True)
class _Followed:
    """Patients at the landmark with a baseline score, by arm, and their scores from then to recurrence.

    `patients` by USUBJID: ``arm`` (slug)``, base, base_grade, death_months`` (death without recurrence, months since
    RFA). `scores`: as :func:`albi_scores`, with ``arm, months, base, base_grade``.
    """

    patients: pd.DataFrame
    scores: pd.DataFrame
    without_baseline: pd.DataFrame

    def of(self, arm: str) -> pd.DataFrame:
        return self.patients[self.patients["arm"] == arm]


def _follow(adlb: pd.DataFrame, adsl: pd.DataFrame, plan: Plan) -> _Followed:
    """Return who is compared and with which scores."""
    at_landmark = adsl[(texts(adsl["LMFL"]) == "Y").fillna(False).to_numpy(dtype=bool)]
    rfa, recurrence, death = (pd.to_datetime(at_landmark[name]) for name in ("TRTSDT", "RECDT", "DTHDT"))
    patients = pd.DataFrame(
        {
            "arm": texts(at_landmark["LMTRT"]).map(dict(ARM_SLUGS)).to_numpy(dtype=object),
            "base": numbers(at_landmark["ALBISC"]).to_numpy(),
            "base_grade": numbers(albi_grade(at_landmark["ALBISC"])).to_numpy(),
            "rfa": rfa.to_numpy(),
            "recurrence": recurrence.to_numpy(),
            "death_months": ((death - rfa).dt.days.where(recurrence.isna()) / DAYS_PER_MONTH).to_numpy(dtype=float),
        },
        index=pd.Index(texts(at_landmark["USUBJID"]).astype(object), name="USUBJID"),
    ).sort_index()
    known = patients[patients["base"].notna()]
    scores = albi_scores(adlb)
    scores = scores[scores["USUBJID"].isin(known.index) & ~scores["near_rfa"]].reset_index(drop=True)
    own = known.loc[scores["USUBJID"]].reset_index(drop=True)
    days = (scores["date"] - own["rfa"]).dt.days
    inside = (days >= plan.landmark_day) & ~(scores["date"] > own["recurrence"])
    scores = scores.assign(months=days / DAYS_PER_MONTH, **own[["arm", "base", "base_grade"]])[inside.astype(bool)]
    return _Followed(known, scores.reset_index(drop=True), patients[patients["base"].isna()])


@dataclass
class _Lines:
    """What every row of this part shares."""

    ard: ArdBuilder
    plan: Plan
    estimand: str

    def add(self, analysis: str, stat: str, value: float, **how: object) -> str:
        how = {"population": POPULATION, "estimand_id": self.estimand, "engine": COUNTED} | how
        return self.ard.add(analysis, stat, value, **how)  # type: ignore[arg-type]

    def count(self, analysis: str, stat: str, members: pd.Index | pd.DataFrame, **how: object) -> str:
        return self.add(analysis, stat, len(members), unit="count", members=members, **how)


def add_albi(
    ard: ArdBuilder, adlb: pd.DataFrame, adsl: pd.DataFrame, plan: Plan, estimand: str
) -> dict[str, pd.DataFrame]:
    """Add the course of ALBI and the time to a worse grade by arm at the landmark; return their curves.

    Parameters
    ----------
    ard : ArdBuilder
        Of the part; rows are added to it.
    adlb, adsl : DataFrame
        ADaM datasets.
    plan : Plan
        ``liver.albi_months``, landmark, confidence level, size of a small group.
    estimand : str
        Id in the plan.

    Returns
    -------
    dict of str to DataFrame
        ``albi_course``: ``group, label, months, change, change_low, change_high, albi, albi_low, albi_high``; the rows
        of group ``contrast`` hold the difference as change. ``albi_patients``: ``group, label, line, months, albi``:
        one line a patient, numbered within the arm by its values, the baseline at month 0. ``albi_worsening``:
        ``definition`` (first, confirmed)``, group, label, time_months, incidence, ci_low, ci_high, n_risk``.
    """
    followed, lines = _follow(adlb, adsl, plan), _Lines(ard, plan, estimand)
    for arm in _arms():
        left_out = followed.without_baseline
        lines.count(
            "albi_course",
            "without_baseline",
            left_out.index[left_out["arm"] == arm],
            group=arm,
            population="Landmark population",
            method="patients at the landmark without an ALBI score at baseline: in no analysis of its course",
        )
    return _add_course(lines, followed) | {"albi_worsening": _add_worsening(lines, followed)}


def _arms() -> list[str]:
    return [ARM_SLUGS[label] for label in ARMS]


def _label(arm: str) -> str:
    return next(label for label in ARMS if ARM_SLUGS[label] == arm)


# --- mean by a mixed model -----------------------------------------------------------------------------------------


def _windows(plan: Plan) -> dict[float, tuple[float, float]]:
    """Return around each planned month the window of months nearest to it; the first begins at the landmark."""
    months = sorted(plan.liver.albi_months)
    between = [(a + b) / 2 for a, b in pairwise(months)]
    last = months[-1] + ((months[-1] - months[-2]) / 2 if len(months) > 1 else months[-1] / 2)
    starts = [min(plan.landmark_day / DAYS_PER_MONTH, months[0]), *between]
    return {month: (low, high) for month, low, high in zip(months, starts, [*between, last], strict=True)}


@dataclass(frozen=True)
class _Course:
    """A fitted model of the change of ALBI: the fit, how time enters, how patients vary."""

    fit: MixedModelFit
    knots: tuple[float, ...]
    random: str

    def row(self, treated: float, months: np.ndarray) -> np.ndarray:
        """Return the weights of the fixed effects for the mean at `months`, at the mean baseline score."""
        return _fixed(np.full(len(months), treated), months, np.zeros(len(months)), self.knots)

    @property
    def words(self) -> str:
        shape = (
            f"a restricted cubic spline of months since RFA (knots {', '.join(f'{k:.3g}' for k in self.knots)})"
            if self.knots
            else "months since RFA (linear: the times are too few for a spline)"
        )
        return f"arm, {shape}, their interaction and the baseline score; {self.random}"


def _fixed(treated: np.ndarray, months: np.ndarray, base: np.ndarray, knots: tuple[float, ...]) -> np.ndarray:
    """Return the fixed effects: intercept, arm, time (in years), arm by time, baseline less its mean."""
    time = (restricted_cubic_spline(months, knots) if knots else months[:, None]) / 12
    return np.column_stack([np.ones(len(months)), treated, time, time * treated[:, None], base])


_BOTH = "random intercept and slope by patient"
_INTERCEPT = "random intercept by patient only, since {why}"
_NONE = "no random effect, since every patient has one score"


def _fit_course(scores: pd.DataFrame) -> _Course:
    """Fit the mixed model; where the data do not bear a random slope, or a spline, the simpler model says why.

    Raises
    ------
    EstimationError
        If not even the simplest can be fitted.
    """
    none = [label for label in ARMS if not (scores["arm"] == ARM_SLUGS[label]).any()]
    if none:
        raise EmptyGroupError(f"no score from the landmark on in {', '.join(none)}")
    treated = (scores["arm"] == ARM_SLUGS[ARMS[0]]).to_numpy(dtype=float)
    months, change = scores["months"].to_numpy(float), (scores["score"] - scores["base"]).to_numpy(float)
    base_by_patient = scores.drop_duplicates("USUBJID")["base"]
    centred = scores["base"].to_numpy(float) - base_by_patient.mean()
    if np.ptp(centred) == 0:
        raise EstimationError("every patient has the same baseline score")
    patient = pd.factorize(scores["USUBJID"])[0]
    intercept = np.ones((len(scores), 1))
    slope = np.column_stack([intercept, months / 12])
    attempts: list[tuple[np.ndarray, str]] = [(slope, _BOTH), (intercept, _INTERCEPT)]
    if np.bincount(patient).max() < 2:
        attempts = [(intercept[:, :0], _NONE)]
    why = ""
    for knots in _time_shapes(months):
        fixed = _fixed(treated, months, centred, knots)
        for random, words in attempts:
            fit, failed = attempt(mixed_model, change, fixed, patient, random)
            if fit is not None and not (random.shape[1] == 2 and fit.degenerate):
                return _Course(fit, knots, words.format(why=why))
            why = failed.removeprefix("not estimable: ") or "the slopes of patients do not vary beyond the residual"
    raise EstimationError(why)


def _time_shapes(months: np.ndarray) -> Iterator[tuple[float, ...]]:
    """Yield the knots of a spline, if the times allow one, then none: a straight line."""
    knots, _ = attempt(harrell_knots, months, KNOTS)
    if knots is not None:
        yield knots
    yield ()


def _add_course(lines: _Lines, followed: _Followed) -> dict[str, pd.DataFrame]:
    """Add the adjusted mean change from baseline by arm and its difference at the plan's months."""
    plan, windows = lines.plan, _windows(lines.plan)
    scores = followed.scores[followed.scores["months"] <= max(high for _, high in windows.values())]
    sizes = {_label(arm): scores.loc[scores["arm"] == arm, "USUBJID"].nunique() for arm in _arms()}
    for arm in _arms():
        own = scores[scores["arm"] == arm]
        lines.count(
            "albi_course",
            "n",
            pd.Index(own["USUBJID"].unique()),
            group=arm,
            method=f"patients in the mixed model: {_WHICH_SCORES}",
        )
        lines.count(
            "albi_course",
            "scores",
            own,
            group=arm,
            method=f"{_WHICH_SCORES}, up to month {max(high for _, high in windows.values()):g}",
        )
        for month, (low, high) in windows.items():
            near = own[(own["months"] >= low) & (own["months"] < high)]
            lines.count(
                "albi_course",
                "n",
                pd.Index(near["USUBJID"].unique()),
                group=arm,
                variable=horizon(month),
                method=f"patients with a score in months {low:.3g} to {high:.3g}",
            )
    reason, course = untested(sizes, plan), None
    if not reason:
        course, reason = attempt(_fit_course, scores)
    latest = {arm: scores.loc[scores["arm"] == arm, "months"].max() for arm in _arms()}
    for month in windows:
        _add_month(lines, month, course, reason, latest)
    return {
        "albi_course": _course_curve(course, scores, latest, plan),
        "albi_patients": _patient_curves(scores),
    }


def _add_month(lines: _Lines, month: float, course: _Course | None, reason: str, latest: dict[str, float]) -> None:
    """Add the means and their difference at one month; later than the last score of an arm nothing is claimed."""
    level = lines.plan.confidence_level
    at = np.array([month])
    weights = {} if course is None else {arm: course.row(float(i == 0), at)[0] for i, arm in enumerate(_arms())}
    groups = [(arm, [arm], "mean_change") for arm in _arms()] + [("contrast", _arms(), "difference")]
    for group, arms, stat in groups:
        late = [_label(arm) for arm in arms if not latest[arm] >= month - GRID_MONTHS]
        why = reason or (f"not estimable: no score as late in {', '.join(late)}" if late else "")
        values, method = (NAN,) * 3, why
        if course is not None and not why:
            chosen = weights[arms[0]] - weights[arms[1]] if len(arms) == 2 else weights[arms[0]]
            interval, _ = course.fit.combination(chosen, level)
            values = (interval.estimate, interval.ci_low, interval.ci_high)
            what = (
                f"mean change of ALBI from baseline at month {month:g}, in a patient with the mean baseline score"
                if len(arms) == 1
                else f"difference in mean change of ALBI at month {month:g}, {_label(arms[0])} minus {_label(arms[1])}"
            )
            method = (
                f"{what}; linear mixed model (REML) of the change: {course.words}; {_WHICH_SCORES}; Wald interval; "
                "adjusted for nothing else; assumes that scores missing after recurrence, death or drop-out are "
                "missing at random"
            )
        lines.add(
            "albi_course",
            stat,
            values[0],
            ci_low=values[1],
            ci_high=values[2],
            unit="statistic",
            group=group,
            variable=horizon(month),
            method=method,
            engine=ENGINE,
        )


def _course_curve(course: _Course | None, scores: pd.DataFrame, latest: dict[str, float], plan: Plan) -> pd.DataFrame:
    """Return the means with bands from the landmark to the last planned month, as long as an arm has scores."""
    columns = ["group", "label", "months", "change", "change_low", "change_high", "albi", "albi_low", "albi_high"]
    if course is None:
        return pd.DataFrame(columns=columns)
    base = float(scores.drop_duplicates("USUBJID")["base"].mean())
    begin, end = plan.landmark_day / DAYS_PER_MONTH, max(plan.liver.albi_months)
    rows = []
    for group, arms in [(arm, [arm]) for arm in _arms()] + [("contrast", _arms())]:
        last = min(end, *(latest[arm] for arm in arms))
        months = np.unique([begin, *np.arange(np.ceil(begin), last, GRID_MONTHS), max(last, begin)])
        weights = [course.row(float(arm == _arms()[0]), months) for arm in arms]
        for month, chosen in zip(months, weights[0] - weights[1] if len(arms) == 2 else weights[0], strict=True):
            interval, _ = course.fit.combination(chosen, plan.confidence_level)
            change = (interval.estimate, interval.ci_low, interval.ci_high)
            level = (NAN,) * 3 if group == "contrast" else tuple(base + value for value in change)
            label = "Difference" if group == "contrast" else _label(group)
            rows.append(dict(zip(columns, (group, label, float(month), *change, *level), strict=True)))
    return pd.DataFrame(rows, columns=columns)


def _patient_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """Return one line a patient, in an order that tells nothing but the values."""
    rows = []
    for arm in _arms():
        own = scores[scores["arm"] == arm]
        lines = sorted(
            [(0.0, float(patient["base"].iloc[0])), *zip(patient["months"], patient["score"], strict=True)]
            for _, patient in own.groupby("USUBJID", sort=True)
        )
        rows += [
            {"group": arm, "label": _label(arm), "line": number, "months": float(month), "albi": float(albi)}
            for number, line in enumerate(lines, start=1)
            for month, albi in line
        ]
    return pd.DataFrame(rows, columns=["group", "label", "line", "months", "albi"])


# --- time to a worse grade -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Definition:
    """One way to tell when ALBI worsened and who was followed for it; `curve` names it there (empty: not drawn)."""

    analysis: str
    what: str = "a score of a higher ALBI grade than at baseline"
    curve: str = ""
    confirmed: bool = False
    death_days: float = np.inf
    followed: str = "censored at the last score; a death competes however long after it"


_DEFINITIONS = (
    _Definition("albi_worsening", curve="first"),
    _Definition(
        "albi_worsening_confirmed",
        "a score of a higher ALBI grade than at baseline, the next score too",
        curve="confirmed",
        confirmed=True,
    ),
    _Definition(
        "albi_worsening_death_90_days",
        death_days=DEATH_DAYS,
        followed=f"censored at the last score, also where death came more than {DEATH_DAYS} days after it",
    ),
)


def first_worse(scores: pd.DataFrame, *, confirmed: bool) -> pd.Series:
    """Return when the grade was first above that at baseline.

    Parameters
    ----------
    scores : DataFrame
        ``USUBJID, months, grade, base_grade``, sorted by patient and time.
    confirmed : bool
        Only where the patient's next score is above the baseline's grade too; the time is that of the first of the two.

    Returns
    -------
    Series
        Months, by USUBJID, of those in whom it happened.
    """
    worse = scores["grade"] > scores["base_grade"]
    if confirmed:
        # of the patient's last score there is no next one, and it does not count
        worse = worse & worse.groupby(scores["USUBJID"]).shift(-1, fill_value=False).astype(bool)
    return scores[worse].groupby("USUBJID")["months"].min()


def _add_worsening(lines: _Lines, followed: _Followed) -> pd.DataFrame:
    """Add the cumulative incidence of a worse ALBI grade, with death as competing event, by arm."""
    worst = followed.patients["base_grade"] >= WORST_GRADE
    columns = ["definition", "group", "label", "time_months", "incidence", "ci_low", "ci_high", "n_risk"]
    curves = []
    for arm in _arms():
        lines.count(
            "albi_worsening",
            "grade_3_at_baseline",
            followed.of(arm).index[worst[followed.patients["arm"] == arm]],
            group=arm,
            method="patients with the worst grade at baseline already: left out",
        )
    at_risk = followed.patients[~worst]
    for definition in _DEFINITIONS:
        times = _times(at_risk, followed.scores, lines.plan, definition)
        curve = _add_incidence(lines, definition, times)
        curves += curve if definition.curve else []
    return pd.DataFrame(curves, columns=columns)


def _times(patients: pd.DataFrame, scores: pd.DataFrame, plan: Plan, definition: _Definition) -> pd.DataFrame:
    """Return by patient ``arm, time`` (months from the landmark)``, cause, scored``.

    Follow-up without an event ends with the last score (without any: at the landmark), as with the last clear image in
    time to recurrence. A death without recurrence is an event whenever it happens: the dead are at risk to their death,
    the living to their last score only. By a definition with `death_days` it is one only up to so many days after that.
    """
    begin = plan.landmark_day / DAYS_PER_MONTH
    worse = first_worse(scores, confirmed=definition.confirmed).reindex(patients.index)
    last = scores.groupby("USUBJID")["months"].max().reindex(patients.index)
    death = patients["death_months"]
    unseen_days = ((death - last.fillna(begin)) * DAYS_PER_MONTH).round()
    death = death.mask(unseen_days > definition.death_days)
    had = worse.notna() & ~(worse > death)
    end = worse.where(had, death).fillna(last).fillna(begin)
    half_day = 0.5 / DAYS_PER_MONTH
    return pd.DataFrame(
        {
            "arm": patients["arm"],
            "time": (end - begin).clip(lower=half_day),
            "cause": np.where(had, WORSE, np.where(death.notna(), DEATH, FREE)),
            "scored": last.notna(),
        },
        index=patients.index,
    )


def _add_incidence(lines: _Lines, definition: _Definition, times: pd.DataFrame) -> list[dict]:
    """Add one definition: counts, incidence at the plan's months and their difference; return its curve."""
    from sorafenib_rfa.stats.competing_risks import CumulativeIncidence, aalen_johansen

    plan, analysis, what = lines.plan, definition.analysis, definition.what
    begin = plan.landmark_day / DAYS_PER_MONTH
    curve: list[dict] = []
    fits: dict[str, tuple[CumulativeIncidence | None, str]] = {}
    for arm in _arms():
        own = times[times["arm"] == arm]
        counted: Sequence[tuple[str, pd.Index, str]] = (
            ("n", own.index, "patients of ALBI grade 1 or 2 at baseline, followed from the landmark"),
            ("without_score", own.index[~own["scored"]], "of these, without any score after the landmark"),
            ("events", own.index[own["cause"] == WORSE], f"patients with {what}"),
            ("deaths", own.index[own["cause"] == DEATH], "patients who died without recurrence, before it worsened"),
        )
        for stat, members, method in counted:
            lines.count(analysis, stat, members, group=arm, method=method)
        fit, why = attempt(
            aalen_johansen, own["time"], own["cause"], n_causes=2, level=plan.confidence_level, conf_type="log-log"
        )
        fits[arm] = fit, why
        if fit is not None:
            frame = fit.to_frame()
            frame = frame[frame["cause"] == WORSE]
            head = {"definition": definition.curve, "group": arm, "label": _label(arm)}
            curve.append(
                head | {"time_months": begin, "incidence": 0.0, "ci_low": NAN, "ci_high": NAN, "n_risk": fit.n}
            )
            curve += [
                head
                | {
                    "time_months": begin + row.time,
                    "incidence": row.incidence,
                    "ci_low": row.ci_low,
                    "ci_high": row.ci_high,
                    "n_risk": row.n_risk,
                }
                for row in frame.itertuples()
            ]
    note = (
        "cumulative incidence (Aalen-Johansen) with death without recurrence as competing event, "
        f"{definition.followed}; {_WHICH_SCORES}; months since RFA among patients at the landmark; "
        "dated by the visit that showed it"
    )
    not_compared = untested({_label(arm): int((times["arm"] == arm).sum()) for arm in _arms()}, plan)
    for month in sorted(plan.liver.albi_months):
        at = {arm: _at(*fits[arm], month, begin) for arm in _arms()}
        for arm, (value, low, high, _, why) in at.items():
            lines.add(
                analysis,
                "incidence",
                100 * value,
                ci_low=100 * low,
                ci_high=100 * high,
                unit="percent",
                group=arm,
                variable=horizon(month),
                method=why
                or f"{what} by month {month:g}: {note}; "
                + (
                    "log-log limits, jackknife variance"
                    if value > 0
                    else "no event by then: exact (Clopper-Pearson) upper limit of the patients followed as long"
                ),
                engine=INCIDENCE_ENGINE,
            )
        (first, *_, se_first, why_first), (second, *_, se_second, why_second) = at.values()
        none = [label for label, se in zip(ARMS, (se_first, se_second), strict=True) if not se > 0]
        reason = not_compared or why_first or why_second
        if none and not reason:
            # the interval would take an incidence of 0 to be known for certain
            reason = f"not estimable: no event by then in {', '.join(none)}"
        difference, half = NAN, NAN
        if not reason:
            difference, half = first - second, _half_width(np.hypot(se_first, se_second), plan.confidence_level)
        lines.add(
            analysis,
            "risk_difference",
            100 * difference,
            ci_low=100 * (difference - half),
            ci_high=100 * (difference + half),
            unit="percent",
            group="contrast",
            variable=horizon(month),
            method=reason
            or f"{what} by month {month:g}, percentage points, {ARMS[0]} minus {ARMS[1]}, unadjusted: {note}; Wald "
            "interval",
            engine=INCIDENCE_ENGINE,
        )
    return curve


def _half_width(std_err: float, level: float) -> float:
    """Return half of a Wald interval."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + level / 2)) * std_err


def _at(fit: object, why: str, month: float, begin: float) -> tuple[float, float, float, float, str]:
    """Return incidence, limits and standard error at a month since RFA, or why there are none.

    Of no event at all there is no standard error; the limit then is that of as many patients as are followed as long.
    """
    if fit is None:
        return NAN, NAN, NAN, NAN, why
    if month <= begin:
        return NAN, NAN, NAN, NAN, "not estimable: the month is not after the landmark"
    read = fit.at([month - begin], WORSE)  # type: ignore[attr-defined]
    value, low, high, se = (float(a[0]) for a in (read.incidence, read.ci_low, read.ci_high, read.std_err))
    if np.isnan(value):
        return NAN, NAN, NAN, NAN, "not estimable: nobody is followed as long"
    if value == 0:
        later = fit.time >= month - begin  # type: ignore[attr-defined]
        followed = int(fit.n_risk[later][0]) if later.any() else 0  # type: ignore[attr-defined]
        exact, why = attempt(clopper_pearson, 0, followed, fit.level)  # type: ignore[attr-defined]
        return (NAN, NAN, NAN, NAN, why) if exact is None else (0.0, exact.ci_low, exact.ci_high, 0.0, "")
    return value, low, high, se, ""
