"""Derive the ADaM datasets and print their dictionary."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.adam import build_adam, data_dictionary
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteSummary
    from sorafenib_rfa.files import read_tables, write_csv, write_table

    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteSummary.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    datasets = build_adam(read_tables(snakemake.input.tables), cohort, Plan.model_validate(snakemake.params.plan))
    dictionary = data_dictionary(cohort.config)
    folder = Path(snakemake.output.dictionary[0]).parent
    for name, frame in datasets.items():
        write_table(frame, folder / name)
    write_csv(dictionary, folder / "data_dictionary.csv")
    (folder / "data_dictionary.md").write_text(dictionary.to_markdown(index=False) + "\n", encoding="utf-8")
