"""Patients behind a published Kaplan-Meier curve: from digitised points and the numbers at risk printed below it.

The algorithm of Guyot and others (2012). Between two printed numbers at risk the curve tells what share of those at
risk had the event at each point; the number at risk at the end of the interval tells how many left it in any way; the
others were censored, and are spread evenly over the interval. The number censored is changed until the reconstructed
number at risk meets the printed one. In the last interval, which no number at risk ends, patients are censored at the
average rate of the intervals before, or so many that the total number of events is the one stated.

Written anew from the published algorithm. Four things are done otherwise. A digitised curve that rises is made to
fall by isotonic regression, which is unbiased, where taking the lowest point so far is not (it keeps each error
downwards and forgets each upwards). A point that stands exactly at a printed time shows what fell since the point
before it, so its events come before the count there; only where numbers at risk and stated events agree better with the
opposite (times in whole months, whose events come after the count) is that taken. Events are whole patients, so that
the reconstructed curve is off by up to half of one; where that would carry it across one half at another point than the
digitised curve, the nearest number of events on the right side is taken: a median is often all else that is printed.
And what cannot be is refused: percent for proportions, a number at risk that the curve excludes (another arm's), a
total of events far from what curve and numbers at risk hold.

What a curve does not hold cannot come back: where it is nearly level at one half, the median is as uncertain as the
clicks. The patients are not the real ones; they are for hazard ratios and restricted means, not for covariates.

References
----------
Guyot P, Ades AE, Ouwens MJNM, Welton NJ. Enhanced secondary analysis of survival data: reconstructing the data from
published Kaplan-Meier survival curves. BMC Med Res Methodol 2012;12:9. Robertson T, Wright FT, Dykstra RL. Order
Restricted Statistical Inference. Wiley 1988 (isotonic regression).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ._inputs import as_float_vector
from .errors import EstimationError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

CLICK_ERROR = 0.02
"""Share of an axis by which a click may be off."""
_PRINTED = 0.0005  # half of the third decimal of a survival probability
_ROUNDS = 200


def reconstruct_patients(
    months: ArrayLike,
    survival: ArrayLike,
    *,
    risk_months: ArrayLike,
    at_risk: ArrayLike,
    total_events: int | None = None,
) -> pd.DataFrame:
    """Reconstruct one arm's patients from its published curve.

    Parameters
    ----------
    months, survival : array_like, shape (m,)
        Digitised points, in any order; survival as a proportion. Of points at one time the lowest counts (the foot of a
        step). Survival at month 0 is 1, whether clicked or not. The finer the points the better: two a month serve.
    risk_months, at_risk : array_like, shape (r,)
        Printed numbers at risk, the first at month 0.
    total_events : int, optional
        Events stated in the publication; decides how many are censored after the last number at risk.

    Returns
    -------
    DataFrame
        ``time`` (months) and ``event`` (1 event, 0 censored), one row a patient, ``at_risk[0]`` rows, by time.

    Raises
    ------
    EstimationError
        If something is missing or impossible; survival is percent, outside 0 to 1, below 1 at month 0, or rises by more
        than clicks are off; numbers at risk do not start at month 0, are not whole, rise, exceed what the curve leaves,
        or go on where the curve has ended; or curve and numbers at risk hold another number of events than
        `total_events`, by more than a tenth.

    Notes
    -----
    Of patients that are known (survival's lung by sex, colon by arm) hazard ratios come back within 2 percent with
    points half a month or a month apart, and three months apart with numbers at risk every six. With points three
    months apart, numbers at risk once a year and events stated, the small lung trial's is 2.2 percent off (2.9 if
    clicks are off): where events of a curve's end are made up to a total, too little is known of when they happened.

    Clicks may be off by 2 percent of an axis. A number at risk up to that far beyond the last point is taken as
    standing at it; a 0 further on says no more than that the curve has ended.
    """
    import pandas as pd

    curve = _Curve(*_falling_curve(months, survival))
    count_months, counts = _numbers_at_risk(risk_months, at_risk, float(curve.months[-1]))
    for month in count_months[counts == 0][:1]:
        then, last = (float(curve.survival[curve.months <= until][-1]) for until in (month, np.inf))
        if last < then - CLICK_ERROR:
            raise EstimationError(
                f"nobody is at risk at month {month:g}, but the curve falls after it, from {then:.3g} to {last:.3g}"
            )
    if total_events is not None and not (np.isfinite(total_events) and 0 <= total_events <= counts[0]):
        raise EstimationError(f"{total_events} events in total cannot be of {counts[0]} patients")

    # a point at a printed time: before the count there (what fell since the last point), or after it (whole months)
    before, after = (_reconstruct(curve, count_months, counts, total_events, side) for side in ("right", "left"))
    if before.conflict is not None and after.conflict is not None:
        raise after.conflict  # what the more generous reading excludes
    # censoring can absorb nearly anything, so both mostly fit: a fall up to the printed time came before the count
    chosen = after if _missed(after, total_events) < _missed(before, total_events) else before
    events = chosen.events
    if total_events is not None and abs(events.sum() - total_events) > max(3.0, 0.1 * total_events):
        raise EstimationError(
            f"curve and numbers at risk hold {events.sum()} events, not the {total_events} stated: do both belong to "
            "this arm and endpoint?"
        )
    event_times = np.repeat(curve.months, events)
    frame = pd.DataFrame(
        {
            "time": np.concatenate([event_times, chosen.censored]),
            "event": np.repeat([1, 0], [event_times.size, counts[0] - event_times.size]),
        }
    )
    return frame.sort_values(["time", "event"], ascending=[True, False], ignore_index=True, kind="stable")


@dataclass(frozen=True, eq=False)
class _Curve:
    """Points of a falling curve, the first (0, 1)."""

    months: FloatArray
    survival: FloatArray


@dataclass(frozen=True)
class _Piece:
    """Points `first` to `stop` - 1, and the months between which their interval's patients are censored."""

    first: int
    stop: int
    start_month: float
    end_month: float


@dataclass(frozen=True)
class _State:
    """Patients left and the reconstructed survival."""

    left: int
    survival: float


@dataclass(frozen=True, eq=False)
class _Walk:
    """An interval walked through: events at its points, months of censoring, who is left; whether too few were."""

    events: list[int]
    censored: FloatArray
    state: _State
    exhausted: bool


@dataclass(frozen=True, eq=False)
class _Reconstruction:
    """Events at each point, months of all censorings, patients by which numbers at risk are missed, what cannot be."""

    events: NDArray[np.intp]
    censored: FloatArray
    misfit: float
    conflict: EstimationError | None


def _reconstruct(
    curve: _Curve,
    count_months: FloatArray,
    counts: NDArray[np.intp],
    total_events: int | None,
    side: Literal["left", "right"],
) -> _Reconstruction:
    """Go through all intervals; a point at a printed time belongs after (`left`) or before (`right`) the count."""
    events = np.zeros(curve.months.size, dtype=np.intp)
    censored: list[FloatArray] = []
    state = _State(left=int(counts[0]), survival=1.0)
    misfit = 0.0
    starts = np.maximum(np.searchsorted(curve.months, count_months, side=side), 1)  # point 0 is month 0: no events
    try:
        for i, start in enumerate(starts[:-1]):
            piece = _Piece(int(start), int(starts[i + 1]), float(count_months[i]), float(count_months[i + 1]))
            walk = _match_count(curve, piece, state, int(counts[i + 1]), slack=1 + CLICK_ERROR * counts[0])
            events[piece.first : piece.stop] = walk.events
            censored.append(walk.censored)
            state = walk.state
            misfit += abs(state.left - counts[i + 1])
        so_far = sum(times.size for times in censored)
        start_month, end_month = float(count_months[-1]), float(curve.months[-1])
        piece = _Piece(int(starts[-1]), curve.months.size, start_month, end_month)
        usual = round(so_far / start_month * (end_month - start_month)) if start_month > 0 else 0
        wanted = None if total_events is None else total_events - int(events.sum())
        walk = _last_interval(curve, piece, state, usual, wanted)
    except EstimationError as conflict:
        return _Reconstruction(events, np.empty(0), np.inf, conflict)
    events[piece.first :] = walk.events
    censored += [walk.censored, np.full(walk.state.left, end_month)]
    return _Reconstruction(events, np.concatenate(censored), misfit, None)


def _missed(made: _Reconstruction, total_events: int | None) -> float:
    """By how many patients the printed numbers at risk and, if stated, the events in all are missed."""
    return made.misfit + (0 if total_events is None else abs(int(made.events.sum()) - total_events))


def _falling_curve(months: ArrayLike, survival: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return ascending times and falling survival from (0, 1) on."""
    from scipy.optimize import isotonic_regression

    t = as_float_vector(months, "months of the points", EstimationError)
    s = as_float_vector(survival, "survival of the points", EstimationError)
    if t.size != s.size:
        raise EstimationError(f"{t.size} months and {s.size} survival values: a point has one of each")
    if not (np.isfinite(t).all() and np.isfinite(s).all()):
        raise EstimationError("a digitised point is missing or infinite")
    if t.size == 0 or t.max() <= 0:
        raise EstimationError("no digitised points after month 0")
    if t.min() < -CLICK_ERROR * t.max():
        raise EstimationError(f"a digitised point lies at month {t.min():g}, before month 0")
    if s.max() > 1.5:
        raise EstimationError(f"survival must be a proportion, found {s.max():g}: percent are to be divided by 100")
    if s.max() > 1 + CLICK_ERROR or s.min() < -CLICK_ERROR:
        worst = s.max() if s.max() > 1 + CLICK_ERROR else s.min()
        raise EstimationError(f"survival must lie between 0 and 1, found {worst:g} at month {t[s == worst][0]:g}")
    t, s = np.maximum(t, 0.0), np.clip(s, 0.0, 1.0)
    order = np.lexsort((-s, t))
    t, s = t[order], s[order]
    foot = np.append(np.diff(t) > 0, True)
    t, s = t[foot], s[foot]
    if t[0] > 0:
        t, s = np.concatenate([[0.0], t]), np.concatenate([[1.0], s])
    elif s[0] < 1 - CLICK_ERROR:
        raise EstimationError(f"survival at month 0 must be 1, found {s[0]:g}")
    s[0] = 1.0
    falling = np.asarray(isotonic_regression(s, increasing=False).x)
    moved = np.abs(falling - s)
    if moved.max() > CLICK_ERROR:
        i = int(np.argmax(moved))
        raise EstimationError(
            f"survival rises around month {t[i]:g} (found {s[i]:g}, a falling curve has {falling[i]:.3g}): more than a "
            "click can be off"
        )
    return t, falling


def _numbers_at_risk(risk_months: ArrayLike, at_risk: ArrayLike, last: float) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the times and numbers at risk that the curve, which ends at month `last`, covers."""
    r = as_float_vector(risk_months, "months of the numbers at risk", EstimationError)
    n = as_float_vector(at_risk, "numbers at risk", EstimationError)
    if r.size != n.size:
        raise EstimationError(f"{n.size} numbers at risk for {r.size} months")
    if r.size == 0:
        raise EstimationError("no numbers at risk: at least that at month 0, the number of patients, is needed")
    if not (np.isfinite(r).all() and np.isfinite(n).all()):
        raise EstimationError("a number at risk or its month is missing or infinite")
    if r[0] != 0:
        raise EstimationError(f"the first number at risk must be that at month 0, found month {r[0]:g}")
    if (np.diff(r) <= 0).any():
        raise EstimationError(f"months of the numbers at risk must ascend, found {', '.join(f'{m:g}' for m in r)}")
    if (n != np.floor(n)).any() or (n < 0).any():
        raise EstimationError(f"numbers at risk must be whole numbers from 0, found {', '.join(f'{m:g}' for m in n)}")
    if n[0] < 1:
        raise EstimationError("nobody is at risk at month 0: the arm has no patients")
    rise = np.flatnonzero(np.diff(n) > 0)
    if rise.size:
        i = int(rise[0])
        raise EstimationError(f"numbers at risk rise from {n[i]:g} at month {r[i]:g} to {n[i + 1]:g} at {r[i + 1]:g}")
    beyond = r > last * (1 + CLICK_ERROR)
    if (n[beyond] > 0).any():
        i = int(np.flatnonzero(beyond)[0])
        raise EstimationError(
            f"{n[i]:g} are at risk at month {r[i]:g}, but the last digitised point is at month {last:g}: digitise the "
            "curve to its end, or leave that number out"
        )
    r, first = np.unique(np.minimum(r[~beyond], last), return_index=True)
    return r, n[~beyond][first].astype(np.intp)


def _walk(curve: _Curve, piece: _Piece, state: _State, n_censored: int) -> _Walk:
    """Go through the points of an interval in which `n_censored` patients are censored, evenly spread."""
    share = np.arange(1, n_censored + 1) / (n_censored + 1)
    censored = piece.start_month + (piece.end_month - piece.start_month) * share
    gone_by = np.searchsorted(censored, curve.months[piece.first : piece.stop])
    left, reached, gone, exhausted = state.left, state.survival, 0, False
    events = []
    for seen, so_far in zip(curve.survival[piece.first : piece.stop].tolist(), gone_by.tolist(), strict=True):
        left -= so_far - gone
        gone = so_far
        exhausted = exhausted or (left <= 0 and seen < reached - CLICK_ERROR)
        dying = _events_at(left, reached, seen) if left > 0 and reached > 0 else 0
        if dying:
            reached *= 1 - dying / left
            left -= dying
        events.append(dying)
    left -= n_censored - gone
    return _Walk(events, censored, _State(left, reached), exhausted or left < 0)


def _events_at(left: int, reached: float, seen: float) -> int:
    """How many of those left have the event for survival to fall from `reached` to `seen`, in whole patients."""
    events = min(max(round(left * (1 - seen / reached)), 0), left)
    after = reached * (1 - events / left)
    if seen > 0.5 + _PRINTED and after <= 0.5 < reached:
        return events - 1
    if seen < 0.5 - _PRINTED and after > 0.5:
        return events + 1
    return events


def _match_count(curve: _Curve, piece: _Piece, state: _State, wanted: int, *, slack: float) -> _Walk:
    """Find how many are censored in an interval for `wanted` to be at risk at its end."""
    uncensored = _walk(curve, piece, state, 0)
    if uncensored.exhausted:
        raise _too_few(piece, state)
    if wanted > uncensored.state.left + slack:
        raise EstimationError(
            f"{wanted} are said to be at risk at month {piece.end_month:g}, but of {state.left} at month "
            f"{piece.start_month:g} the curve leaves {uncensored.state.left}: do curve and numbers at risk belong "
            "together?"
        )
    best, tried = uncensored, {0}
    n_censored = uncensored.state.left - wanted
    for _ in range(_ROUNDS):
        n_censored = min(max(n_censored, 0), state.left)
        if best.state.left == wanted or n_censored in tried:
            break
        tried.add(n_censored)
        walk = _walk(curve, piece, state, n_censored)
        if not walk.exhausted and abs(walk.state.left - wanted) < abs(best.state.left - wanted):
            best = walk
        n_censored += walk.state.left - wanted
    return best


def _last_interval(curve: _Curve, piece: _Piece, state: _State, usual: int, events: int | None) -> _Walk:
    """Censor at the usual rate after the last number at risk, or so many that `events` are left to be seen.

    Never so many that nobody is left for a fall of the curve.
    """
    possible = [walk for n in range(state.left + 1) if not (walk := _walk(curve, piece, state, n)).exhausted]
    if not possible:
        raise _too_few(piece, state)
    if events is None:
        return min(possible, key=lambda walk: abs(walk.censored.size - usual))
    return min(possible, key=lambda walk: (abs(sum(walk.events) - events), abs(walk.censored.size - usual)))


def _too_few(piece: _Piece, state: _State) -> EstimationError:
    return EstimationError(
        f"the curve falls after month {piece.start_month:g}, when {state.left} are at risk, further than they can make "
        "it: do curve and numbers at risk belong together?"
    )
