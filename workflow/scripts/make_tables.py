"""Make the tables of a cohort, whose cells are bound to ARD rows."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.exhibits.tables import make_table, write_table
    from sorafenib_rfa.files import TablesOnDemand

    ard = pd.read_parquet(snakemake.input.ard)
    cohort = CohortConfig.model_validate(snakemake.params.cohort_config)
    plan = Plan.model_validate(snakemake.params.plan)
    texts = TablesOnDemand(snakemake.input.texts)
    for markdown, data in zip(snakemake.output.markdown, snakemake.output.data, strict=True):
        name = Path(markdown).stem
        print(name)
        write_table(make_table(name, ard=ard, cohort=cohort, plan=plan, texts=texts), markdown, data)
