"""Derive the ADaM datasets and print their dictionary."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.adam import build_adam, data_dictionary, dictionary_markdown
    from sorafenib_rfa.adam.schemas import empty
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteSummary
    from sorafenib_rfa.config.paths import ADAM_DATASETS
    from sorafenib_rfa.files import read_tables, write_csv, write_table

    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteSummary.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    datasets = build_adam(
        read_tables(snakemake.input.tables),
        cohort,
        Plan.model_validate(snakemake.params.plan),
        incomplete_ablations=pd.read_parquet(snakemake.input.incomplete_ablations),
    )
    folder = Path(snakemake.output.dictionary[0]).parent
    for name in ADAM_DATASETS:
        # a dataset whose module the cohort lacks is written without rows: a rule's files are the same for every cohort
        write_table(datasets[name] if name in datasets else empty(name, cohort.config), folder / name)
    write_csv(data_dictionary(cohort.config), folder / "data_dictionary.csv")
    (folder / "data_dictionary.md").write_text(dictionary_markdown(cohort.config), encoding="utf-8")
