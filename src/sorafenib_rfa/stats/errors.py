"""Errors of the estimators: why a quantity cannot be estimated from the data given.

All derive from :class:`EstimationError` (a :class:`ValueError`), so that an estimate step can turn any of them into
an analysis-results row "not estimable: <reason>" while anything else stays a defect.
"""

from __future__ import annotations


class EstimationError(ValueError):
    """The data given do not allow the estimate asked for."""


class NoEventsError(EstimationError):
    """No event (of the kind asked for) was observed."""


class SeparationError(EstimationError):
    """A likelihood has no finite maximum: a covariate, or a combination, separates those with from those without.

    Attributes
    ----------
    covariates : tuple of str
        The covariates whose coefficients run to infinity, the fastest first.
    """

    def __init__(self, message: str, covariates: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.covariates = covariates

    def __reduce__(self) -> tuple:
        """Survive a trip between processes with the covariates intact."""
        return type(self), (str(self), self.covariates)


class ConstantCovariateError(EstimationError):
    """A covariate does not vary where it would have to for its coefficient to be estimated."""


class CollinearCovariatesError(EstimationError):
    """A covariate is a linear combination of others."""


class InvalidCovariatesError(EstimationError):
    """Covariates are missing, not finite, not numeric, or of the wrong shape or names."""


class InvalidTimesError(EstimationError):
    """A time is missing, not finite, zero, negative, or an interval does not end after it starts."""


class InvalidEventsError(EstimationError):
    """An event indicator or cause is missing or not one of the codes allowed."""


class InvalidWeightsError(EstimationError):
    """A weight is missing, not finite, negative, or all are zero."""


class EmptyGroupError(EstimationError):
    """A group to be estimated or compared has no members."""


class ConvergenceError(EstimationError):
    """An iterative fit did not converge."""


class BeyondFollowUpError(EstimationError):
    """A quantity up to a horizon is asked for that nobody was followed to."""
