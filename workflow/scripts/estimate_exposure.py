"""Describe exposure to sorafenib, and the effect of its duration at landmarks."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.estimates.exposure import estimate_exposure
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_exposure(
        adex=pd.read_parquet(snakemake.input.adex),
        adsl=pd.read_parquet(snakemake.input.adsl),
        adtte=pd.read_parquet(snakemake.input.adtte),
        adae=pd.read_parquet(snakemake.input.adae),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
