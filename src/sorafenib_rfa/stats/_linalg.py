"""Small linear algebra in one thread.

The matrices here are a few rows by many columns. Handed to BLAS whole they wake its threads, which on a machine shared
by several jobs wait for each other (measured: a 0.5 ms fit takes 8 ms) and which sum in an order that depends on how
many there are, so that the last digits of a result would too. Below BLAS's threshold neither happens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg.lapack import dpotrs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]

_BLOCK = 200_000  # multiplications; OpenBLAS stays in one thread up to 262,144


def cross_product(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return a @ b.T for shapes (p, n) and (q, n), in blocks of columns."""
    width = max(64, _BLOCK // (a.shape[0] * b.shape[0]))
    n = a.shape[1]
    out = a[:, :width] @ b[:, :width].T
    for low in range(width, n, width):
        out += a[:, low : low + width] @ b[:, low : low + width].T
    return out


def combine_rows(coefficients: FloatArray, rows: FloatArray) -> FloatArray:
    """Return coefficients @ rows for shapes (p,) and (p, n)."""
    return np.einsum("p,pn->n", coefficients, rows)


def weighted_row_sums(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """Return rows @ weights for shapes (p, n) and (n,)."""
    return np.einsum("pn,n->p", rows, weights)


def inverse_from_cholesky(factor: FloatArray) -> FloatArray:
    """Return the inverse of the symmetric matrix whose lower Cholesky factor is given (dpotri always wakes threads)."""
    inverse = dpotrs(factor, np.eye(factor.shape[0]), lower=1)[0]
    return (inverse + inverse.T) / 2
