"""Put the true values, and the error of each design's estimate against its own truth, into ARD rows."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.collect import collect_ard
    from sorafenib_rfa.exhibits.tables import make_table, write_table
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.validation.results import validation_ard
    from sorafenib_rfa.validation.stored import recovery_ard

    rows = validation_ard(
        pd.read_parquet(snakemake.input.ard),
        pd.read_csv(snakemake.input.truth),
        Plan.model_validate(snakemake.params.plan),
        cohort_name=this.cohort,
        record=this.record,
    )
    stored = recovery_ard(
        pd.read_csv(snakemake.input.recovery, keep_default_na=False),  # one scenario is called null
        cohort_name=this.cohort,
        record=this.record,
        shown_as=snakemake.input.recovery,
    )
    collected = collect_ard([rows, stored])
    write_parquet(collected, snakemake.output.ard)
    table = make_table(
        "recovery",
        ard=collected,
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        plan=Plan.model_validate(snakemake.params.plan),
    )
    write_table(table, *snakemake.output.table)
