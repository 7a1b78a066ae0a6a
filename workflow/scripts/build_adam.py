"""Derive the ADaM datasets and print their dictionary."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.adam import coded_adam, data_dictionary, dictionary_markdown
    from sorafenib_rfa.adam.schemas import empty
    from sorafenib_rfa.clean.schemas import CLEAN_ORIGIN
    from sorafenib_rfa.coded import CodedFiles, read_coded, write_coded
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteSummary
    from sorafenib_rfa.config.paths import ADAM_DATASETS
    from sorafenib_rfa.files import write_csv, write_table
    from sorafenib_rfa.vocabulary import RAW_TABLES

    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteSummary.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    unread = {
        # only ADSL names the site's own id
        **{table: ["subject_id"] for table in RAW_TABLES if table != "patients"},
        "imaging": ["subject_id", "site", "modality", *CLEAN_ORIGIN],
        "labs": ["subject_id", "site", "unit", "source_value", "source_unit", "below_detection"],
    }
    datasets = coded_adam(
        CodedFiles(snakemake.input.tables, unread),
        cohort,
        Plan.model_validate(snakemake.params.plan),
        incomplete_ablations=read_coded(snakemake.input.incomplete_ablations),
    )
    folder = Path(snakemake.output.dictionary[0]).parent
    made = set()
    for name, dataset in datasets:
        write_coded(dataset, folder / f"{name}.parquet")
        write_csv(dataset, folder / f"{name}.csv")
        made.add(name)
    for name in ADAM_DATASETS:
        # a dataset whose module the cohort lacks is written without rows: a rule's files are the same for every cohort
        if name not in made:
            write_table(empty(name, cohort.config), folder / name)
    write_csv(data_dictionary(cohort.config), folder / "data_dictionary.csv")
    (folder / "data_dictionary.md").write_text(dictionary_markdown(cohort.config), encoding="utf-8")
