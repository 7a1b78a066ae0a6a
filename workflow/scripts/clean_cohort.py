"""Clean and select patients; account for every row and patient."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.clean import clean_coded
    from sorafenib_rfa.coded import CodedFiles, write_coded
    from sorafenib_rfa.config.load import Cohort
    from sorafenib_rfa.config.models import CohortConfig, Plan, SiteConfig
    from sorafenib_rfa.files import write_parquet, write_table
    from sorafenib_rfa.ingest import Ingested
    from sorafenib_rfa.vocabulary import RAW_TABLES

    folder_of = {Path(path).parent.name: Path(path).parent for path in snakemake.input.quarantine}
    unread = {table: ["src_cells"] for table in RAW_TABLES}
    ingested = {
        site: Ingested(
            CodedFiles([path for path in snakemake.input.tables if Path(path).parent == folder], unread),
            pd.read_parquet(folder / "quarantine.parquet"),
        )
        for site, folder in folder_of.items()
    }

    def source_cells(site, table, rows):
        """Return the cells of a few rows as they stood in the export."""
        import pyarrow.parquet as pq

        return (
            pq.read_table(folder_of[site] / f"{table}.parquet", columns=["src_cells"])["src_cells"]
            .take(rows)
            .to_pylist()
        )

    cohort = Cohort(
        this.cohort,
        CohortConfig.model_validate(snakemake.params.cohort_config),
        {name: SiteConfig.model_validate(site) for name, site in snakemake.params.sites.items()},
    )
    cleaned = clean_coded(ingested, source_cells, cohort, Plan.model_validate(snakemake.params.plan))
    for path in snakemake.output.tables:
        write_coded(cleaned.tables[Path(path).stem], path)
    folder = Path(snakemake.output.fates).parent
    write_table(cleaned.quarantine, folder / "quarantine")
    write_table(cleaned.attrition, folder / "attrition")
    write_parquet(cleaned.fates, snakemake.output.fates)
    write_coded(cleaned.incomplete_ablations, snakemake.output.incomplete_ablations)
