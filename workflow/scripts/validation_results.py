"""Put the true values, and the error of each design's estimate against its own truth, into ARD rows."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.validation.results import validation_ard

    rows = validation_ard(
        pd.read_parquet(snakemake.input.ard),
        pd.read_csv(snakemake.input.truth),
        Plan.model_validate(snakemake.params.plan),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_parquet(rows, snakemake.output.ard)
