"""What only the simulator can tell: estimates held against the truth. Nothing here feeds an analysis."""

from __future__ import annotations

TABLE, INTERVALS, SEAL = "study.csv", "study_intervals.parquet", "study.json"
STORED = tuple(f"validation/{name}" for name in (TABLE, INTERVALS, SEAL))
"""Files of the stored result of the validation study, relative to the repository (:mod:`.stored`, :mod:`.store`)."""
UNITS = {"rmst_difference": "months", "log_hr": "measure"}
"""Measure of the study -> unit of its bias and standard errors."""
