"""Analysis datasets (CDISC ADaM) from clean tables."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sorafenib_rfa.adam.dictionary import data_dictionary, dictionary_markdown
from sorafenib_rfa.adam.schemas import conform, validate
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import Plan
from sorafenib_rfa.config.paths import adam_datasets
from sorafenib_rfa.errors import ConfigError, Problem

__all__ = ["build_adam", "data_dictionary", "dictionary_markdown"]


def build_adam(
    tables: Mapping[str, pd.DataFrame],
    cohort: Cohort,
    plan: Plan,
    *,
    incomplete_ablations: pd.DataFrame | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the ADaM datasets that the cohort's modules allow.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Clean tables (see ``docs/architecture.md``) with USUBJID. Rows of patients who are not in
        ``patients`` are left out: the ledger of the clean stage accounts for them.
    cohort : Cohort
    plan : Plan
    incomplete_ablations : DataFrame, optional
        Ablations of patients who are not analysed because the index RFA was not complete
        (:class:`sorafenib_rfa.clean.Cleaned`); only ADTUM holds them.

    Returns
    -------
    dict of str to DataFrame
        ``adsl`` and ``adtte`` always; ``adae``, ``adlb``, ``adex`` with the modules adverse_events, labs,
        treatment; ``adrecur``, ``adproc``, ``adtum`` with ablations. Typed and sorted as
        :mod:`sorafenib_rfa.adam.schemas` says.

    Raises
    ------
    ConfigError
        If dated records lack a time zero, an endpoint cannot be derived, or an extra variable's name is taken.
    pandera.errors.SchemaErrors
        If a derived dataset departs from its specification: a defect, with every departure listed.
    """
    from sorafenib_rfa.adam.adae import build_adae
    from sorafenib_rfa.adam.adex import build_adex
    from sorafenib_rfa.adam.adlb import build_adlb
    from sorafenib_rfa.adam.adproc import build_adproc
    from sorafenib_rfa.adam.adrecur import build_adrecur
    from sorafenib_rfa.adam.adsl import build_adsl
    from sorafenib_rfa.adam.adtte import build_adtte
    from sorafenib_rfa.adam.adtum import build_adtum

    config = cohort.config
    _has_time_zero(cohort)

    def finish(name: str, frame: pd.DataFrame) -> pd.DataFrame:
        return validate(name, conform(name, frame, config), config)

    out = {"adsl": finish("adsl", build_adsl(tables, cohort, plan))}
    adsl = out["adsl"]
    out["adtte"] = finish("adtte", build_adtte(adsl, tables.get("survival_times"), cohort))
    if config.offers("treatment"):
        out["adex"] = finish("adex", build_adex(adsl, tables["drug_exposure"]))
    if config.offers("adverse_events"):
        out["adae"] = finish("adae", build_adae(adsl, out.get("adex"), tables["adverse_events"], plan))
    ablations = tables["ablations"] if config.offers("ablations") else None
    if config.offers("labs"):
        out["adlb"] = finish("adlb", build_adlb(adsl, tables["labs"], ablations, plan))
    if ablations is not None:
        out["adrecur"] = finish("adrecur", build_adrecur(adsl, ablations))
        out["adproc"] = finish("adproc", build_adproc(adsl, ablations, plan))
        imaging = tables["imaging"] if config.offers("imaging") else None
        out["adtum"] = finish("adtum", build_adtum(adsl, ablations, imaging, incomplete_ablations, cohort))
    return {name: out[name] for name in adam_datasets(config)}


def _has_time_zero(cohort: Cohort) -> None:
    """Refuse dated records without the ablations that put them in time."""
    dated = [name for name in ("treatment", "imaging", "labs", "adverse_events") if cohort.config.offers(name)]
    if dated and not cohort.config.offers("ablations"):
        raise ConfigError(
            Problem(
                "modules: dated records have no time zero",
                file=f"config/cohorts/{cohort.name}/cohort.yaml",
                found=", ".join(cohort.config.modules),
                expected="the module ablations beside " + ", ".join(dated),
                hint="the first RFA session is day 0 of every other date",
            )
        )
