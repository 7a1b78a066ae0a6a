"""Derive the ADaM datasets and print their dictionary."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.adam import build_coded_adam, data_dictionary, dictionary_markdown
    from sorafenib_rfa.adam.schemas import empty
    from sorafenib_rfa.coded import read_coded, write_coded
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteSummary
    from sorafenib_rfa.config.paths import ADAM_DATASETS
    from sorafenib_rfa.files import write_csv

    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteSummary.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    paths = (*snakemake.input.tables, snakemake.input.incomplete_ablations)
    # only ADSL names the site's own id
    tables = {
        stem: read_coded(path, leave_out=[] if stem == "patients" else ["subject_id"])
        for path in paths
        for stem in [Path(path).stem]
    }
    datasets = build_coded_adam(
        tables,
        cohort,
        Plan.model_validate(snakemake.params.plan),
        incomplete_ablations=tables["incomplete_ablations"],
    )
    del tables
    folder = Path(snakemake.output.dictionary[0]).parent
    for name in ADAM_DATASETS:
        # a dataset whose module the cohort lacks is written without rows: a rule's files are the same for every cohort
        dataset = datasets.pop(name) if name in datasets else empty(name, cohort.config)
        write_coded(dataset, folder / f"{name}.parquet")
        write_csv(dataset, folder / f"{name}.csv")
    write_csv(data_dictionary(cohort.config), folder / "data_dictionary.csv")
    (folder / "data_dictionary.md").write_text(dictionary_markdown(cohort.config), encoding="utf-8")
