"""Linear mixed models against R's ``nlme::lme`` (``r/mixed_model.R``, values committed), and where they must refuse.

The tolerance is 1e-6: nlme's own search ends within that of the maximum. To recompute:
``Rscript --vanilla tests/reference/r/mixed_model.R . tests/reference/values``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from crosscheck import read_values  # noqa: E402
from ours import relative_difference  # noqa: E402

from sorafenib_rfa.stats.errors import (  # noqa: E402
    CollinearCovariatesError,
    ConvergenceError,
    EmptyGroupError,
    InvalidCovariatesError,
)
from sorafenib_rfa.stats.mixed_model import mixed_model  # noqa: E402
from sorafenib_rfa.stats.propensity import restricted_cubic_spline  # noqa: E402

pytestmark = pytest.mark.reference
KNOTS = (3, 8, 14, 24)
R = read_values(HERE / "values" / "mixed_model.json")
DATA = pd.read_csv(HERE / "data" / "repeated.csv")


def fixed(data: pd.DataFrame) -> np.ndarray:
    spline = restricted_cubic_spline(data["months"], KNOTS) / 12
    arm = data["arm"].to_numpy(dtype=float)
    centred = data["base"] - data.drop_duplicates("person")["base"].mean()
    return np.column_stack([np.ones(len(data)), arm, spline, spline * arm[:, None], centred])


def fitted(data: pd.DataFrame, model: str):
    random = np.column_stack([np.ones(len(data)), data["months"] / 12])
    return mixed_model(data["change"], fixed(data), data["person"], random if model == "slope" else random[:, :1])


@pytest.mark.parametrize("model", ["slope", "intercept"])
def test_equals_nlme(model: str) -> None:
    fit = fitted(DATA, model)
    at = np.concatenate([[0, 1, 0, 0, 0], restricted_cubic_spline(np.array([12.0]), KNOTS)[0] / 12, [0]])
    interval, std_err = fit.combination(at)
    found = {
        "coef": fit.coef,
        "se": np.sqrt(np.diag(fit.cov)),
        "random_cov": fit.random_cov.ravel(),
        "residual_variance": np.array([fit.residual_variance]),
        "log_likelihood": np.array([fit.log_likelihood]),
        "difference": np.array([interval.estimate, std_err]),
    }
    for name, values in found.items():
        assert relative_difference(values, R[f"{model}.{name}"].value) < 1e-6, name
    # no further from the maximum than R is
    assert fit.log_likelihood >= R[f"{model}.log_likelihood"].value[0] - 1e-10
    assert interval.ci_high - interval.estimate == pytest.approx(1.959963984540054 * std_err, rel=1e-12)
    assert not fit.degenerate


def test_the_order_of_rows_and_the_names_of_persons_do_not_matter() -> None:
    mixed = DATA.sample(frac=1, random_state=1).assign(person=lambda d: "p" + d["person"].astype(str))
    np.testing.assert_allclose(fitted(mixed, "slope").coef, fitted(DATA, "slope").coef, rtol=1e-5, atol=1e-7)


def test_without_random_effects_it_is_least_squares() -> None:
    fit = mixed_model(DATA["change"], fixed(DATA), DATA["person"], np.empty((len(DATA), 0)))
    coef, rest, *_ = np.linalg.lstsq(fixed(DATA), DATA["change"], rcond=None)
    np.testing.assert_allclose(fit.coef, coef, rtol=1e-8)
    assert fit.residual_variance == pytest.approx(rest[0] / (len(DATA) - 9))


def test_no_variation_between_persons_is_said() -> None:
    """Residuals that alternate within each person: their means vary less than chance, and the variance is zero."""
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(40), 4)
    y = np.tile([1.0, -1.0, 1.0, -1.0], 40) + rng.normal(0, 0.01, 160)
    fit = mixed_model(y, np.ones((160, 1)), person, np.ones((160, 1)))
    assert fit.degenerate
    assert fit.random_cov[0, 0] < 1e-6
    assert fit.coef[0] == pytest.approx(y.mean())


@pytest.mark.parametrize(
    ("error", "y", "x"),
    [
        (EmptyGroupError, [1.0, 2.0], [[1, 0], [1, 1]]),
        (CollinearCovariatesError, [1.0, 2.0, 3.0, 4.0], [[1, 2]] * 4),
        (CollinearCovariatesError, [1.0, 2.0, 3.0, 4.0], [[1, 0]] * 4),
        (InvalidCovariatesError, [1.0, np.nan, 3.0, 4.0], [[1, 0], [1, 1], [1, 2], [1, 3]]),
        (ConvergenceError, [2.0, 2.0, 2.0, 2.0], [[1, 0], [1, 1], [1, 2], [1, 3]]),
        (EmptyGroupError, [], np.empty((0, 2))),
    ],
)
def test_what_cannot_be_fitted_is_refused(error, y, x) -> None:
    with pytest.raises(error):
        mixed_model(y, x, np.arange(len(y)) % 2, np.ones((len(y), 1)))
