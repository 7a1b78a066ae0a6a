r"""Partitioned survival and Q-TWiST under two strategies, by clone, censor, weight.

Life up to a horizon is parted into time with toxicity before relapse (TOX), time without symptoms of relapse or
toxicity (TWiST), and time after relapse (REL). With S the weighted survival curves and p(t) the weighted share with
toxicity among those at risk of relapse at t,

.. math:: TOX = \int_0^\tau S_{RFS}(t) \, p(t) \, dt, \quad
          TWiST = \int_0^\tau S_{RFS}(t) \, (1 - p(t)) \, dt, \quad
          REL = \int_0^\tau (S_{OS}(t) - S_{RFS}(t)) \, dt.

Toxicity may begin and end at any time: p is a prevalence (Pepe, Longton & Thornquist 1991), not the survival curve of
an end of toxicity that all begin with (Glasziou, Simes & Gelber 1990). Quality-adjusted time (Q-TWiST) weighs the
three by utilities :math:`u_{TOX}` and :math:`u_{REL}`, with TWiST worth 1.

All curves are step functions, so the integrals are exact.

References
----------
Goldhirsch A, Gelber RD, Simes RJ, Glasziou P, Coates AS. Costs and benefits of adjuvant therapy in breast cancer: a
quality-adjusted survival analysis. J Clin Oncol 1989;7:36-44.
Glasziou PP, Simes RJ, Gelber RD. Quality adjusted survival analysis. Stat Med 1990;9:1259-1276.
Pepe MS, Longton G, Thornquist M. A qualifier Q for the survival function to describe the prevalence of a transient
condition. Stat Med 1991;10:413-421.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from ._inputs import as_events, as_times
from .clone_censor import NOUGHT, CloneWeights, Tally
from .clone_censor_risks import Resampled, aalen_johansen_of_sums, area_to, curve_tallies, kept_resamples, read_at
from .errors import BeyondFollowUpError, InvalidTimesError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.intp]
    BoolArray = NDArray[np.bool_]

STATES: Final = ("tox", "twist", "rel")


@dataclass(frozen=True, eq=False)
class PartitionedSurvival:
    """Time in three states up to `tau`; arrays of both arms have the treated one first.

    Attributes
    ----------
    time : ndarray, shape (T,)
        Times from which the curves below hold, the first 0.
    relapse_free, alive, toxic : ndarray, shape (2, T)
        Probabilities: relapse-free, alive, and relapse-free with toxicity.
    states : Resampled, shape (2, 3)
        Mean time in TOX, TWiST and REL.
    relapse_free_mean, alive_mean : Resampled, shape (2,)
        Restricted means of the two survival curves, from the same resamples.
    tau : float
    failed : int
        Resamples without an estimate.
    """

    time: FloatArray
    relapse_free: FloatArray
    alive: FloatArray
    toxic: FloatArray
    states: Resampled
    relapse_free_mean: Resampled
    alive_mean: Resampled
    tau: float
    failed: int

    @property
    def resamples(self) -> int:
        """Resamples used."""
        return len(self.states.draws)

    def quality_adjusted(self, toxicity: float, relapse: float) -> Resampled:
        """Return Q-TWiST of both arms for a utility of time with toxicity and one of time after relapse, shape (2,)."""
        utilities = np.array([toxicity, 1.0, relapse])
        return Resampled(self.states.estimate @ utilities, self.states.draws @ utilities)


@dataclass(frozen=True, eq=False)
class PartitionQuestion:
    """How life up to `tau` is parted; build one with :meth:`ask`."""

    tau: float
    edges: FloatArray
    relapse_grid: FloatArray
    death_grid: FloatArray
    tallies: tuple[Tally, ...]
    followed_to: tuple[FloatArray, FloatArray]

    @classmethod
    def ask(
        cls,
        weights: CloneWeights,
        relapse: tuple[ArrayLike, ArrayLike],
        death: tuple[ArrayLike, ArrayLike],
        patient: IntArray,
        toxic_from: FloatArray,
        toxic_to: FloatArray,
        tau: float,
    ) -> PartitionQuestion:
        """Validate follow-up and say what has to be summed.

        Parameters
        ----------
        weights : CloneWeights
            Of n patients.
        relapse, death : pair of array_like, shape (n,)
            Follow-up above zero and whether it ends in relapse or death, or in death.
        patient : ndarray of int, shape (M,)
            Position of the patient of each episode of toxicity. Episodes of a patient may overlap.
        toxic_from, toxic_to : ndarray, shape (M,)
            When it begins and ends; an end may lie beyond follow-up or be infinite.
        tau : float
            Horizon.

        Raises
        ------
        InvalidTimesError, InvalidEventsError
            Missing or impossible times; an episode without a beginning or that does not end after it.
        """
        if not (toxic_from < toxic_to).all():
            raise InvalidTimesError("an episode of toxicity must end after it begins")
        grids, tallies, last = [], [], []
        for time, event in (relapse, death):
            stop, _ = as_times(time)
            if stop.size != weights.n:
                raise InvalidTimesError(f"there are {stop.size} times for {weights.n} patients")
            ended = as_events(event, stop.size) & (stop <= tau)
            grid, own = curve_tallies(weights, stop, ended.astype(np.intp), 1)
            grids.append(grid)
            tallies += own
            last.append(np.minimum(weights.followed_to(stop), tau))
        relapse_free = np.asarray(relapse[0], dtype=float)
        # the weights, who is followed and who is toxic are constant between these
        edges = np.concatenate([relapse_free, *grids, weights.times, toxic_from, toxic_to, [0.0, tau]])
        edges = np.unique(edges[(edges >= 0) & (edges <= tau)])
        low = edges[:-1]
        followed = relapse_free[:, None] > low[None, :]
        toxic = np.zeros_like(followed)
        first, beyond = np.searchsorted(edges, toxic_from), np.searchsorted(edges, toxic_to)
        for one, begin, end in zip(patient, first, beyond, strict=True):
            toxic[one, begin:end] = True
        # both are summed for themselves: that they make up relapse-free life is then a check, not a definition
        passed = weights.after(low)
        tallies += [Tally(passed, followed & toxic), Tally(passed, followed & ~toxic)]
        return cls(float(tau), edges, *grids, tuple(tallies), tuple(last))  # type: ignore[arg-type]

    def values(self, sums: Sequence[FloatArray]) -> tuple[FloatArray, ...]:
        """Return months in the states (B, 2, 3), both restricted means (B, 2), whether known (B,) and three curves."""
        low, widths = self.edges[:-1], np.diff(self.edges)
        free, living = (aalen_johansen_of_sums(at_risk, events[None])[0] for at_risk, events in (sums[:2], sums[2:4]))
        with_toxicity, without = sums[4:]
        followed = with_toxicity + without
        with np.errstate(divide="ignore", invalid="ignore"):
            share, rest = (np.where(followed > NOUGHT, part / followed, 0.0) for part in (with_toxicity, without))
        at = read_at(low, self.relapse_grid, free, 1.0)
        alive = read_at(low, self.death_grid, living, 1.0)
        months = np.stack([(at * share) @ widths, (at * rest) @ widths, (alive - at) @ widths], axis=-1)
        return (
            months.swapaxes(0, 1),
            area_to(self.tau, self.relapse_grid, free, 1.0).T,
            area_to(self.tau, self.death_grid, living, 1.0).T,
            ((followed > NOUGHT) | (at <= NOUGHT)).all(axis=(0, 2)),
            *(curve.swapaxes(0, 1) for curve in (at, alive, at * share)),
        )

    def partition(self, found: Sequence[Resampled], usable: BoolArray) -> PartitionedSurvival:
        """Return what :func:`~sorafenib_rfa.stats.clone_censor_risks.answer` found.

        Parameters
        ----------
        found : sequence of Resampled
        usable : ndarray of bool, shape (B,)
            Resamples in which the chances of a start could be estimated.

        Raises
        ------
        BeyondFollowUpError
            If the follow-up of an arm ends before `tau`.
        ConvergenceError
            If more than one resample in twenty has no estimate.
        """
        states, free_mean, alive_mean, known, at, alive, toxic = found
        for curve, last in zip((at.estimate, alive.estimate), self.followed_to, strict=True):
            for arm, name in enumerate(("start", "do not start")):
                if last[arm] < self.tau and curve[arm, -1] > NOUGHT:
                    raise BeyondFollowUpError(
                        f'follow-up under the strategy "{name}" ends at {last[arm]:.1f}, '
                        f"before the horizon {self.tau:g}"
                    )
        if not known.estimate:
            raise BeyondFollowUpError(f"nobody is followed for relapse under one of the strategies up to {self.tau:g}")
        kept = kept_resamples(usable & known.draws)
        return PartitionedSurvival(
            time=self.edges[:-1],
            relapse_free=at.estimate,
            alive=alive.estimate,
            toxic=toxic.estimate,
            states=Resampled(states.estimate, states.draws[kept]),
            relapse_free_mean=Resampled(free_mean.estimate, free_mean.draws[kept]),
            alive_mean=Resampled(alive_mean.estimate, alive_mean.draws[kept]),
            tau=self.tau,
            failed=int((~kept).sum()),
        )
