"""Performance of estimators over any number of simulated cohorts, in memory that does not grow with them.

The replicates' estimates are read in batches, twice: once for sums, once for the coverage of the mean estimate, which
must be known first. Sums are exact (integers scaled by powers of two), so the result is the same, digit for digit,
in whatever order and division the batches come. Kept of each cell are a few sums, and the first cohorts' intervals for
a figure.

References
----------
Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical methods. Stat Med 2019;38:2074-2102
(table 6: measures and their Monte Carlo standard errors).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sorafenib_rfa.errors import InputError, Problem
from sorafenib_rfa.validation.estimators import cells

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyarrow import RecordBatch

    from sorafenib_rfa.config.models import StudyPlan

    FloatArray = NDArray[np.float64]
    IntArray = NDArray[np.intp]

KEY = ("scenario", "screened", "endpoint", "estimator", "measure")
WITH_ERROR = (
    "bias", "relative_bias_percent", "empirical_se", "mse", "model_se", "se_error_percent", "coverage",
    "bias_eliminated_coverage", "rejection", "failed_percent",
)  # fmt: skip
"""Measures that have a Monte Carlo standard error beside them, ``<name>_mc_se``."""
SHOWN_REPLICATES = 1000
"""Cohorts of a cell whose intervals are kept for the zip plot: more lines than that are not seen apart."""
LARGEST_RELATIVE_ERROR = 20.0
"""Monte Carlo standard error, percentage points, beyond which a relative bias is not given: a truth near nought."""
_BATCH = 65_536
_TEXTS = ("scenario", "endpoint", "estimator", "measure", "reason")
_BITS, _HALF = 53, 26
_SHIFT = 1074 + _BITS  # every double is a whole number of units of 2 ** -_SHIFT
_POWERS = 4096  # more than there are exponents of doubles


class ExactSums:
    """Sums of doubles in `size` cells without rounding, whatever the order of the terms."""

    def __init__(self, size: int) -> None:
        self._totals = [0] * size

    def add(self, cell: IntArray, value: FloatArray) -> None:
        """Add `value` to the sums of `cell`, both of shape (n,); all values are finite."""
        mantissa, exponent = np.frexp(value)
        whole = (mantissa * 2.0**_BITS).astype(np.int64)
        keys, place = np.unique(cell * _POWERS + (exponent + _SHIFT), return_inverse=True)
        # halves of 27 and 26 bits: their sums over a batch are exact in doubles
        high = np.bincount(place, weights=(whole >> _HALF).astype(float))
        low = np.bincount(place, weights=(whole & ((1 << _HALF) - 1)).astype(float))
        for key, top, rest in zip(keys.tolist(), high.tolist(), low.tolist(), strict=True):
            own, power = divmod(key, _POWERS)
            self._totals[own] += ((int(top) << _HALF) + int(rest)) << (power - _BITS)

    def total(self, cell: int) -> Fraction:
        """Return the sum of a cell."""
        return Fraction(self._totals[cell], 1 << _SHIFT)


@dataclass(frozen=True)
class Batch:
    """Rows of replicates: the cell of each, number of the cohort, patients, estimate, standard error."""

    cell: IntArray
    replicate: IntArray
    n: IntArray
    estimate: FloatArray
    std_err: FloatArray
    reason: np.ndarray


@dataclass
class Layout:
    """The cells of a study.

    Attributes
    ----------
    keys : list of tuple
        ``scenario, screened, endpoint, estimator, measure`` of each cell, sorted.
    """

    keys: list[tuple[str, int, str, str, str]]
    index: dict[tuple[str, int, str, str, str], int] = field(init=False)

    def __post_init__(self) -> None:
        self.index = {key: position for position, key in enumerate(self.keys)}

    @classmethod
    def of(cls, study: StudyPlan) -> Layout:
        """Return the cells of a plan."""
        return cls(
            sorted(
                (scenario, screened, *cell)
                for scenario in study.scenarios
                for screened in study.sizes
                for cell in cells(list(study.estimators))
            )
        )

    def batches(self, path: Path) -> Iterator[Batch]:
        """Yield the rows of one file of estimates.

        Raises
        ------
        InputError
            If a row belongs to no cell of the study.
        """
        import pyarrow.parquet as pq

        with pq.ParquetFile(path, read_dictionary=list(_TEXTS)) as file:
            for group in range(file.num_row_groups):
                # one group at a time: an iteration over all of them keeps what it has read
                for rows in file.iter_batches(batch_size=_BATCH, row_groups=[group], use_threads=False):
                    yield self._batch(rows, path)

    def _batch(self, rows: RecordBatch, path: Path) -> Batch:
        """Return rows of a file with their cells."""
        texts = {}
        for name in _TEXTS:
            column = rows.column(name)
            texts[name] = (np.array(column.dictionary.to_pylist(), dtype=object), column.indices.to_numpy())
        sizes, size_code = np.unique(rows.column("screened").to_numpy(), return_inverse=True)
        codes = [texts["scenario"], (sizes, size_code), *(texts[name] for name in _TEXTS[1:4])]
        combined = np.zeros(rows.num_rows, dtype=np.intp)
        for values, code in codes:
            combined = combined * len(values) + code
        present, place = np.unique(combined, return_inverse=True)
        cell = np.empty(present.size, dtype=np.intp)
        for position, packed in enumerate(present.tolist()):
            parts = []
            for values, _ in reversed(codes):
                packed, own = divmod(packed, len(values))
                parts.append(values[own])
            scenario, size, *rest = reversed(parts)
            key = (scenario, int(size), *rest)
            if key not in self.index:
                raise InputError(
                    Problem(
                        "rows of estimates belong to no cell of the study",
                        file=str(path),
                        found=", ".join(map(str, key)),
                        expected="what config/validation.yaml declares",
                    )
                )
            cell[position] = self.index[key]
        reasons, own_reason = texts["reason"]
        return Batch(
            cell[place],
            rows.column("replicate").to_numpy().astype(np.intp),
            rows.column("n").to_numpy().astype(np.intp),
            rows.column("estimate").to_numpy(zero_copy_only=False),
            rows.column("std_err").to_numpy(zero_copy_only=False),
            reasons[own_reason],
        )


def performance(
    paths: Sequence[Path], truths: Mapping[str, pd.DataFrame], study: StudyPlan, *, level: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the performance of each estimator, and the intervals of the first cohorts.

    Parameters
    ----------
    paths : sequence of Path
        Parquet files with the columns of :data:`sorafenib_rfa.validation.study.ESTIMATE_COLUMNS`, in any order and
        division.
    truths : mapping
        Scenario -> as :func:`sorafenib_rfa.validation.truths.true_values` returns it.
    study : StudyPlan
        What is expected: every cohort once in each cell.
    level : float
        Of the Wald intervals.

    Returns
    -------
    table : DataFrame
        One row a scenario, size, endpoint, estimator and measure: ``scenario, screened, endpoint, estimator, measure,
        truth, truth_mc_se, replicates`` (with an estimate)``, failed, reasons, mean_n, mean_estimate, no_effect`` and
        the measures of :data:`WITH_ERROR` with their Monte Carlo standard errors. ``bias_mc_se`` contains that of the
        truth. ``coverage``, ``bias_eliminated_coverage`` (intervals that hold the mean estimate) and ``rejection``
        (intervals that exclude no difference: power, or type I error where ``no_effect``) are proportions. Missing
        where fewer than two cohorts have an estimate, and ``relative_bias_percent`` where its Monte Carlo standard
        error is above :data:`LARGEST_RELATIVE_ERROR`.
    intervals : DataFrame
        :data:`KEY`, ``replicate, estimate, std_err`` (single precision)``, covers`` (in double precision) of the
        first :data:`SHOWN_REPLICATES` cohorts.

    Raises
    ------
    InputError
        If a cohort is missing, double, or belongs to another study.
    """
    from scipy.special import ndtri

    layout = Layout.of(study)
    size = len(layout.keys)
    truth = _truths(layout, truths)
    z = float(ndtri(0.5 + level / 2))
    sums = {name: ExactSums(size) for name in ("error", "error_2", "error_4", "variance", "variance_2")}
    counted, covered, rejected, patients = (np.zeros(size, dtype=np.int64) for _ in range(4))
    reasons: list[Counter[str]] = [Counter() for _ in range(size)]
    seen = _Seen(layout, study)
    kept: list[pd.DataFrame] = []
    for path in paths:
        for batch in layout.batches(path):
            seen.add(batch, path)
            np.add.at(patients, batch.cell, batch.n)
            for cell, reason in zip(*(part[batch.reason != ""] for part in (batch.cell, batch.reason)), strict=True):
                reasons[cell][reason] += 1
            found = batch.reason == ""
            cell, value, error = batch.cell[found], batch.estimate[found], batch.std_err[found]
            off = value - truth["truth"][cell]
            square, variance = off * off, error * error
            covers = np.abs(off) <= z * error
            counted += np.bincount(cell, minlength=size)
            covered += np.bincount(cell[covers], minlength=size)
            rejected += np.bincount(cell[np.abs(value) > z * error], minlength=size)
            for name, term in (
                ("error", off),
                ("error_2", square),
                ("error_4", square * square),
                ("variance", variance),
                ("variance_2", variance * variance),
            ):
                sums[name].add(cell, term)
            if (batch.replicate < SHOWN_REPLICATES).any():
                kept.append(_shown(batch, found, covers))
    seen.require_all()
    mean_error = [sums["error"].total(j) / int(counted[j]) if counted[j] else None for j in range(size)]
    centre = np.array([np.nan if mean is None else float(mean) for mean in mean_error])
    held = np.zeros(size, dtype=np.int64)
    for path in paths:
        for batch in layout.batches(path):
            found = batch.reason == ""
            cell = batch.cell[found]
            off = batch.estimate[found] - truth["truth"][cell] - centre[cell]
            held += np.bincount(cell[np.abs(off) <= z * batch.std_err[found]], minlength=size)
    rows = [
        {
            **dict(zip(KEY, key, strict=True)),
            "truth": truth["truth"][j],
            "truth_mc_se": truth["mc_se"][j],
            "replicates": int(counted[j]),
            "failed": sum(reasons[j].values()),
            "reasons": "; ".join(f"{name}: {count}" for name, count in sorted(reasons[j].items())),
            "mean_n": patients[j] / study.replicates,
            "mean_estimate": truth["truth"][j] + centre[j],
            "no_effect": bool(truth["no_effect"][j]),
            **_measures(
                truth["truth"][j],
                truth["mc_se"][j],
                int(counted[j]),
                study.replicates,
                {name: own.total(j) for name, own in sums.items()},
                {"coverage": covered[j], "bias_eliminated_coverage": held[j], "rejection": rejected[j]},
            ),
        }
        for j, key in enumerate(layout.keys)
    ]
    return pd.DataFrame(rows), _intervals(kept, layout)


def _truths(layout: Layout, truths: Mapping[str, pd.DataFrame]) -> dict[str, FloatArray]:
    """Return true value, its Monte Carlo error and whether there is no effect, of each cell."""
    by_cell = {
        (scenario, row["endpoint"], row["estimator"], row["measure"]): row
        for scenario, frame in truths.items()
        for row in frame.to_dict("records")
    }
    rows = [by_cell[(scenario, *rest)] for scenario, _, *rest in layout.keys]
    return {name: np.array([row[name] for row in rows], dtype=float) for name in ("truth", "mc_se", "no_effect")}


@dataclass
class _Seen:
    """Which cohorts of each cell have come: a bit each."""

    layout: Layout
    study: StudyPlan

    def __post_init__(self) -> None:
        self._come = np.zeros((len(self.layout.keys), (self.study.replicates + 7) // 8), dtype=np.uint8)

    def add(self, batch: Batch, path: Path) -> None:
        """Take note of a batch; refuse what was there before or is not declared."""
        beyond = batch.replicate >= self.study.replicates
        place, bit = batch.replicate >> 3, np.uint8(1) << (batch.replicate & 7).astype(np.uint8)
        where = np.ravel_multi_index((batch.cell, np.where(beyond, 0, place)), self._come.shape)
        twice = (self._come.reshape(-1)[where] & bit) != 0
        pairs = batch.cell * self.study.replicates + batch.replicate
        order = np.argsort(pairs, kind="stable")
        twice[order[1:]] |= pairs[order[1:]] == pairs[order[:-1]]
        wrong = np.flatnonzero(beyond | twice)
        if wrong.size:
            key = self.layout.keys[batch.cell[wrong[0]]]
            raise InputError(
                Problem(
                    "a cohort is not declared" if beyond[wrong[0]] else "a cohort is there twice",
                    file=str(path),
                    found=f"cohort {batch.replicate[wrong[0]]} of {', '.join(map(str, key))}",
                    expected=f"each of the cohorts 0 to {self.study.replicates - 1} once",
                )
            )
        np.bitwise_or.at(self._come.reshape(-1), where, bit)

    def require_all(self) -> None:
        """Refuse a study of which cohorts are missing."""
        come = np.array([int(np.unpackbits(row).sum()) for row in self._come])
        short = np.flatnonzero(come < self.study.replicates)
        if short.size:
            raise InputError(
                [
                    Problem(
                        "cohorts are missing",
                        found=f"{come[j]} of {', '.join(map(str, self.layout.keys[j]))}",
                        expected=str(self.study.replicates),
                    )
                    for j in short[:5]
                ]
            )


def _measures(
    truth: float,
    truth_mc_se: float,
    n: int,
    asked: int,
    total: Mapping[str, Fraction],
    count: Mapping[str, int],
) -> dict[str, float]:
    """Return the performance measures of one cell with their Monte Carlo standard errors."""
    failed = (asked - n) / asked
    found: dict[str, tuple[float, float]] = {"failed_percent": (100 * failed, 100 * _binomial_error(failed, asked))}
    if n >= 2:
        bias = float(total["error"] / n)
        variance = (total["error_2"] - total["error"] ** 2 / n) / (n - 1)
        spread = math.sqrt(variance) if variance > 0 else 0.0
        mean_square = total["error_2"] / n
        variance_of_square = (total["error_4"] - n * mean_square**2) / (n - 1)
        mean_variance = total["variance"] / n
        model = math.sqrt(mean_variance)
        variance_of_variance = float(max((total["variance_2"] - n * mean_variance**2) / (n - 1), Fraction(0)))
        ratio = model / spread if spread > 0 else math.nan
        found |= {
            "bias": (bias, math.hypot(spread / math.sqrt(n), truth_mc_se)),
            "empirical_se": (spread, spread / math.sqrt(2 * (n - 1))),
            "mse": (float(mean_square), math.sqrt(max(variance_of_square, Fraction(0)) / n)),
            "model_se": (model, math.sqrt(variance_of_variance / (4 * n)) / model),
            "se_error_percent": (
                100 * (ratio - 1),
                100 * ratio * math.sqrt(variance_of_variance / (4 * n * model**4) + 1 / (2 * (n - 1))),
            ),
        }
        if truth and 100 * found["bias"][1] / abs(truth) <= LARGEST_RELATIVE_ERROR:
            found["relative_bias_percent"] = (100 * bias / truth, 100 * found["bias"][1] / abs(truth))
        for name, times in count.items():
            share = int(times) / n
            found[name] = (share, _binomial_error(share, n))
    row = {}
    for name in WITH_ERROR:
        row[name], row[f"{name}_mc_se"] = found.get(name, (math.nan, math.nan))
    return row


def _binomial_error(share: float, n: int) -> float:
    return math.sqrt(share * (1 - share) / n)


def _shown(batch: Batch, found: NDArray[np.bool_], covers: NDArray[np.bool_]) -> pd.DataFrame:
    """Return the intervals of a batch that are kept."""
    first = batch.replicate[found] < SHOWN_REPLICATES
    return pd.DataFrame(
        {
            "cell": batch.cell[found][first].astype(np.int32),
            "replicate": batch.replicate[found][first].astype(np.int16),
            "estimate": batch.estimate[found][first].astype(np.float32),
            "std_err": batch.std_err[found][first].astype(np.float32),
            "covers": covers[first],
        }
    )


def _intervals(kept: Iterable[pd.DataFrame], layout: Layout) -> pd.DataFrame:
    """Return the kept intervals with the names of their cells, sorted."""
    frame = pd.concat(list(kept), ignore_index=True).sort_values(["cell", "replicate"], ignore_index=True)
    cell = frame.pop("cell").to_numpy()
    for position, name in reversed(list(enumerate(KEY))):
        values = np.array([key[position] for key in layout.keys], dtype=object)[cell]
        column = values.astype(np.int32) if name == "screened" else pd.Categorical(values)
        frame.insert(0, name, column)
    return frame


def write_intervals(intervals: pd.DataFrame, path: str | Path) -> None:
    """Write the kept intervals as parquet, small: no dictionary of numbers that are all different."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.Table.from_pandas(intervals, preserve_index=False),
        path,
        compression="zstd",
        use_dictionary=[name for name in KEY if name != "screened"],
        column_encoding={
            "replicate": "DELTA_BINARY_PACKED",
            "estimate": "BYTE_STREAM_SPLIT",
            "std_err": "BYTE_STREAM_SPLIT",
        },
    )
