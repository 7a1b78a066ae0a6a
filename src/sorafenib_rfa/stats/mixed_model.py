"""Linear mixed models of repeated measurements, by restricted maximum likelihood (REML).

Own code because ``statsmodels.MixedLM`` stops short of the maximum (fixed effects 4e-5 from R's on the scores of this
study, whatever its tolerances), takes its standard errors from a Hessian in which fixed effects and variances are not
orthogonal, and needs seconds where the sums below need milliseconds. Checked against R's ``nlme::lme`` in
``tests/reference/test_mixed_model.py``.

References
----------
Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics 1982;38:963-974. Pinheiro JC, Bates DM.
Mixed-Effects Models in S and S-PLUS. Springer 2000, chapter 2 (profiled restricted likelihood).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ._inputs import as_float_vector
from .errors import CollinearCovariatesError, ConvergenceError, EmptyGroupError, InvalidCovariatesError
from .proportions import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    FloatArray = NDArray[np.float64]

_FLAT = 1e-6
"""Largest gradient of the profiled restricted log-likelihood at its maximum, with respect to relative deviations."""
_VANISHED = 1e-4
"""Relative standard deviation (of a random effect, over the residual's) below which a random effect has vanished."""


@dataclass(frozen=True, eq=False)
class MixedModelFit:
    """A fitted linear mixed model.

    Attributes
    ----------
    coef : ndarray, shape (p,)
        Fixed effects.
    cov : ndarray, shape (p, p)
        Their generalised least squares covariance at the estimated variances, as ``vcov`` of R's ``lme``.
    random_cov : ndarray, shape (q, q)
        Covariance of the random effects.
    residual_variance : float
    log_likelihood : float
        Restricted.
    n, n_groups : int
        Measurements, and groups (patients) with any.
    """

    coef: FloatArray
    cov: FloatArray
    random_cov: FloatArray
    residual_variance: float
    log_likelihood: float
    n: int
    n_groups: int

    @property
    def degenerate(self) -> bool:
        """Whether the random effects' covariance has lost a dimension: the data hold no such variation."""
        relative = self.random_cov / self.residual_variance
        return bool(len(relative) and np.linalg.eigvalsh(relative)[0] < _VANISHED**2)

    def combination(self, weights: ArrayLike, level: float = 0.95) -> tuple[Interval, float]:
        """Return a linear combination of the fixed effects with its Wald interval, and its standard error."""
        from scipy.special import ndtri

        w = np.asarray(weights, dtype=float)
        estimate, std_err = float(w @ self.coef), float(np.sqrt(w @ self.cov @ w))
        half = float(ndtri(0.5 + level / 2)) * std_err
        return Interval(estimate, estimate - half, estimate + half), std_err


def mixed_model(y: ArrayLike, x: ArrayLike, group: ArrayLike, z: ArrayLike) -> MixedModelFit:
    """Fit y = x coef + z b + e by REML, with b normal between groups and e independent within.

    Parameters
    ----------
    y : array_like, shape (n,)
    x : array_like, shape (n, p)
        Fixed effects, the intercept included.
    group : array_like, shape (n,)
        Whose measurement each is.
    z : array_like, shape (n, q)
        Random effects, with an unstructured covariance; columns of like size serve the search. q = 0: least squares.

    Returns
    -------
    MixedModelFit

    Raises
    ------
    EmptyGroupError
        Without measurements, or with no more than fixed effects.
    InvalidCovariatesError
        If a value is missing or not finite.
    CollinearCovariatesError
        If the fixed effects cannot be told apart.
    ConvergenceError
        If the search does not end at a maximum, or nothing is left unexplained.
    """
    outcome = as_float_vector(y, "outcome", InvalidCovariatesError)
    fixed, random = np.asarray(x, dtype=float), np.asarray(z, dtype=float)
    if fixed.ndim != 2 or random.ndim != 2 or {len(fixed), len(random)} != {outcome.size}:
        raise InvalidCovariatesError(f"effects of shapes {fixed.shape} and {random.shape} for {outcome.size} outcomes")
    if not all(np.isfinite(m).all() for m in (outcome, fixed, random)):
        raise InvalidCovariatesError("an outcome or covariate of the mixed model is missing or infinite")
    n, p = fixed.shape
    if n <= p:
        raise EmptyGroupError(f"{n} measurements for {p} fixed effects")
    scale = np.abs(fixed).max(axis=0)
    if not (scale > 0).all() or np.linalg.matrix_rank(fixed / scale, tol=1e-9 * np.sqrt(n)) < p:
        raise CollinearCovariatesError("the fixed effects of the mixed model cannot be told apart")
    sums = _Sums(outcome, fixed, random, np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1))
    q = random.shape[1]
    factor = _search(sums, q) if q else np.zeros((0, 0))
    at = sums.at(factor)
    if not at.residual_variance > 1e-20 * max(float(np.mean(outcome**2)), 1e-300):
        raise ConvergenceError("the fixed effects of the mixed model leave nothing unexplained")
    return MixedModelFit(
        coef=at.coef,
        cov=at.residual_variance * at.inverse,
        random_cov=at.residual_variance * factor @ factor.T,
        residual_variance=at.residual_variance,
        log_likelihood=-at.loss,
        n=n,
        n_groups=sums.n_groups,
    )


def _search(sums: _Sums, q: int) -> FloatArray:
    """Return the relative Cholesky factor of the random effects at the maximum."""
    from scipy.optimize import minimize

    rows, columns = np.tril_indices(q)

    def unfolded(parameters: FloatArray) -> FloatArray:
        factor = np.zeros((q, q))
        factor[rows, columns] = parameters
        return factor

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        at = sums.at(unfolded(parameters))
        return at.loss, at.gradient[rows, columns]

    begin = np.where(rows == columns, 0.5, 0.0)
    found: Any = None
    # a second search from where the first ended makes up for a poor first guess of the curvature
    for _ in range(3):
        found = minimize(loss, begin, jac=True, method="BFGS", options={"gtol": _FLAT / 10, "maxiter": 500})
        if np.abs(found.jac).max() <= _FLAT:
            return unfolded(found.x)
        begin = found.x
    if not np.isfinite(found.fun) or np.abs(found.jac).max() > 1e-3 * max(1.0, sums.n**0.5):
        raise ConvergenceError("the restricted likelihood of the mixed model has no maximum that could be found")
    return unfolded(found.x)


@dataclass(frozen=True, eq=False)
class _Solution:
    """The profiled restricted likelihood at one relative covariance of the random effects."""

    coef: FloatArray
    inverse: FloatArray
    residual_variance: float
    loss: float
    gradient: FloatArray


class _Sums:
    """Sums of products by group: all that the likelihood needs of the data.

    With V = I + Z D Z' for a group, D = L L' and M = (I + L' Z'Z L)^-1, the Woodbury identity turns a' V^-1 b into
    a'b - (Z'a)' L M L' (Z'b), and log|V| into -log|M|.
    """

    def __init__(self, y: FloatArray, x: FloatArray, z: FloatArray, place: NDArray[np.intp]) -> None:
        self.n, self.p = x.shape
        self.n_groups = int(place.max()) + 1
        self.xx, self.xy, self.yy = x.T @ x, x.T @ y, float(y @ y)
        self.zz = self._by_group(z, z, place)
        self.zx = self._by_group(z, x, place)
        self.zy = self._by_group(z, y[:, None], place)[..., 0]

    def _by_group(self, a: FloatArray, b: FloatArray, place: NDArray[np.intp]) -> FloatArray:
        out = np.zeros((self.n_groups, a.shape[1], b.shape[1]))
        np.add.at(out, place, a[:, :, None] * b[:, None, :])
        return out

    def at(self, factor: FloatArray) -> _Solution:
        """Return the solution with relative covariance ``factor @ factor.T``."""
        zl = self.zz @ factor
        middle = np.linalg.inv(np.eye(len(factor)) + factor.T @ zl)
        inner = factor @ middle @ factor.T
        within = self.zx.transpose(0, 2, 1) @ inner
        a = self.xx - (within @ self.zx).sum(axis=0)
        b = self.xy - np.einsum("gpq,gq->p", within, self.zy)
        inverse = np.linalg.inv(a)
        inverse = (inverse + inverse.T) / 2
        coef = inverse @ b
        left = self.zy - self.zx @ coef
        rest = self.yy - 2 * coef @ self.xy + coef @ self.xx @ coef - np.einsum("gq,gqr,gr->", left, inner, left)
        freedom = self.n - self.p
        variance = max(float(rest) / freedom, 1e-300)
        # log|V| of all groups, from the middle matrices' own determinants
        log_v = -float(np.linalg.slogdet(middle)[1].sum())
        log_a = float(np.linalg.slogdet(a)[1])
        loss = 0.5 * (freedom * (np.log(2 * np.pi * variance) + 1) + log_v + log_a)
        # derivative by D, then by L: 2 (derivative by D) L
        shrunk = self.zz @ inner
        g = self.zz - shrunk @ self.zz
        h = self.zx - shrunk @ self.zx
        u = left - np.einsum("gqr,gr->gq", shrunk, left)
        by_covariance = g.sum(axis=0) - np.einsum("gqp,ps,grs->qr", h, inverse, h) - u.T @ u / variance
        return _Solution(coef, inverse, variance, loss, by_covariance @ factor)
