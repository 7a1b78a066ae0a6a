"""From canonical raw tables to the patients who are analysed, with a ledger of everyone and everything that left."""

from sorafenib_rfa.clean.cohort import Cleaned, clean_coded, clean_cohort

__all__ = ["Cleaned", "clean_coded", "clean_cohort"]
