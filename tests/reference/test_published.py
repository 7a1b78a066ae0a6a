"""Published figures that the real cohort must give, and published worked examples of the methods.

Li L, Yan J, Xu J, et al. CXCL17 expression predicts poor prognosis and correlates with adverse immune infiltration in
hepatocellular carcinoma. PLoS ONE 2014;9(10):e110064 (the cohort of ``data/public/hcc_resection``).
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from ours import hcc_resection

from sorafenib_rfa.stats import log_rank, newcombe_difference
from sorafenib_rfa.stats.kaplan_meier import kaplan_meier

pytestmark = pytest.mark.reference


@pytest.mark.parametrize(
    ("marker", "low", "high"),
    [("high", 53.1, 77.7), ("high_tumour", 58.6, 73.0)],
    ids=["peritumoural: <= and > median", "intratumoural: < and >= median"],
)
def test_five_year_event_percentages_of_li_2014(marker: str, low: float, high: float) -> None:
    """Both are 1 - KM of recurrence-free survival at 60 months, printed with one decimal."""
    d = hcc_resection()
    for group, published in ((0, low), (1, high)):
        part = d[d[marker] == group]
        survival = kaplan_meier(part["RFS"], part["Recurrence"]).at(60).survival[0]
        assert round(100 * (1 - survival), 1) == published


@pytest.mark.parametrize(("marker", "published"), [("high", 0.002), ("high_tumour", 0.015)])
def test_overall_survival_log_rank_of_li_2014(marker: str, published: float) -> None:
    d = hcc_resection()
    assert round(log_rank(d["OS"], d["Death"], d[marker]).p, 3) == published


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0000),
        ((10, 10, 0, 10), 0.6075, 1.0000),
    ],
)
def test_examples_of_newcombe_1998(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    """Newcombe RG. Stat Med 1998;17:873-890, table II, method 10."""
    interval = newcombe_difference(*counts)
    assert (round(interval.ci_low, 4), round(interval.ci_high, 4)) == (low, high)


def test_gehan_leukaemia_remissions() -> None:
    """Freireich 1963, as in every textbook: 6-MP against placebo, medians 23 and 8 weeks, log-rank chi2 16.79."""
    mp = [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
    mp_event = [1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    assert kaplan_meier(mp, mp_event).median().estimate == 23
    assert kaplan_meier(placebo, [1] * 21).median().estimate == 8
    test = log_rank(mp + placebo, mp_event + [1] * 21, ["6-MP"] * 21 + ["placebo"] * 21)
    assert round(test.chi2, 2) == 16.79
    assert test.observed.tolist() == [9, 21]
    assert [round(e, 2) for e in test.expected] == [19.25, 10.75]
