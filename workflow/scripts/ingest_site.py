"""Read one site's export into canonical tables and a quarantine."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import CohortConfig, SiteConfig
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.ingest import SiteReader

    reader = SiteReader(
        Path(snakemake.params.folder),
        snakemake.wildcards.site,
        SiteConfig.model_validate(snakemake.params.site_config),
        CohortConfig.model_validate(snakemake.params.cohort_config),
        shown_folder=snakemake.params.folder,
    )
    for path in snakemake.output.tables:
        write_parquet(reader.table(Path(path).stem), path)
    write_parquet(reader.quarantine(), snakemake.output.quarantine)
