"""Make one table whose cells are bound to ARD rows."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.exhibits.tables import make_table, write_table
    from sorafenib_rfa.files import TablesOnDemand

    table = make_table(
        snakemake.wildcards.table,
        ard=pd.read_parquet(snakemake.input.ard),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        plan=Plan.model_validate(snakemake.params.plan),
        texts=TablesOnDemand(snakemake.input.texts),
    )
    write_table(table, snakemake.output.markdown, snakemake.output.data)
