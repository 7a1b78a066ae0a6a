"""Analysis datasets (CDISC ADaM) from clean tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from sorafenib_rfa.adam.dictionary import data_dictionary, dictionary_markdown
from sorafenib_rfa.adam.schemas import coded, validate
from sorafenib_rfa.coded import decoded, distinct, encoded, numbered
from sorafenib_rfa.config.load import Cohort
from sorafenib_rfa.config.models import CohortConfig, Plan
from sorafenib_rfa.config.paths import adam_datasets
from sorafenib_rfa.errors import ConfigError, Problem

__all__ = ["build_adam", "coded_adam", "data_dictionary", "dictionary_markdown"]


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
    built = coded_adam(
        {name: encoded(table) for name, table in tables.items()},
        cohort,
        plan,
        incomplete_ablations=None if incomplete_ablations is None else encoded(incomplete_ablations),
    )
    made = {name: decoded(frame) for name, frame in built}
    return {name: made[name] for name in adam_datasets(cohort.config)}


def coded_adam(
    tables: Mapping[str, pd.DataFrame],
    cohort: Cohort,
    plan: Plan,
    *,
    incomplete_ablations: pd.DataFrame | None = None,
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the datasets of :func:`build_adam` one by one, from tables held as codes (:mod:`sorafenib_rfa.coded`).

    Parameters
    ----------
    tables, cohort, plan, incomplete_ablations
        As :func:`build_adam`, text as categories. A table is asked for when it is needed and not kept.

    Yields
    ------
    str, DataFrame
        Name and dataset, text as categories.
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
    known = set(distinct(tables, "patients", "USUBJID"))
    if incomplete_ablations is not None:
        known.update(incomplete_ablations["USUBJID"].cat.categories)
    names = pd.Index(sorted(known), dtype=object)

    def read(table: str) -> pd.DataFrame:
        return numbered(tables[table], names)

    def finish(name: str, made: pd.DataFrame) -> tuple[str, pd.DataFrame]:
        patients = pd.Categorical.from_codes(made["USUBJID"].to_numpy(), categories=names)
        return name, validate(name, made.assign(USUBJID=patients), config)

    wanted = ("patients", *_tables_read(config))
    adsl = coded(
        "adsl", build_adsl({table: read(table) for table in wanted if table != "adverse_events"}, cohort, plan), config
    )
    yield finish("adsl", adsl)
    times = read("survival_times") if config.offers("survival_times") else None
    yield finish("adtte", coded("adtte", build_adtte(adsl, times, cohort), config))
    adex = None
    if config.offers("treatment"):
        adex = coded("adex", build_adex(adsl, read("drug_exposure")), config)
        yield finish("adex", adex)
    if config.offers("adverse_events"):
        yield finish("adae", coded("adae", build_adae(adsl, adex, decoded(read("adverse_events")), plan), config))
    ablations = read("ablations") if config.offers("ablations") else None
    if config.offers("labs"):
        yield finish("adlb", coded("adlb", build_adlb(adsl, read("labs"), ablations, plan), config))
    if ablations is not None:
        yield finish("adrecur", coded("adrecur", build_adrecur(adsl, ablations), config))
        yield finish("adproc", coded("adproc", build_adproc(adsl, ablations, plan), config))
        imaging = read("imaging") if config.offers("imaging") else None
        incomplete = None if incomplete_ablations is None else numbered(incomplete_ablations, names)
        yield finish("adtum", coded("adtum", build_adtum(adsl, ablations, imaging, incomplete, cohort), config))


def _tables_read(config: CohortConfig) -> list[str]:
    """Return the clean tables that the datasets of a cohort are made of, but for that of patients."""
    table_of = {
        "treatment": "drug_exposure",
        "ablations": "ablations",
        "imaging": "imaging",
        "labs": "labs",
        "adverse_events": "adverse_events",
        "survival_times": "survival_times",
    }
    return [table for module, table in table_of.items() if config.offers(module)]


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
