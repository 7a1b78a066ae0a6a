"""Clean and select patients; account for every row and patient."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.clean import clean_cohort
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteConfig
    from sorafenib_rfa.files import write_parquet, write_table
    from sorafenib_rfa.ingest import Ingested

    ingested = {}
    for path in map(Path, snakemake.input.quarantine):
        tables = {
            table.stem: pd.read_parquet(table)
            for table in map(Path, snakemake.input.tables)
            if table.parent == path.parent
        }
        ingested[path.parent.name] = Ingested(tables, pd.read_parquet(path))
    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteConfig.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    cleaned = clean_cohort(ingested, cohort, Plan.model_validate(snakemake.params.plan))
    for path in snakemake.output.tables:
        write_parquet(cleaned.tables[Path(path).stem], path)
    folder = Path(snakemake.output.fates).parent
    write_table(cleaned.quarantine, folder / "quarantine")
    write_table(cleaned.attrition, folder / "attrition")
    write_parquet(cleaned.fates, snakemake.output.fates)
    write_parquet(cleaned.incomplete_ablations, snakemake.output.incomplete_ablations)
