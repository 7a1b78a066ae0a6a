"""Describe the cohort at baseline; weights and balance."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.baseline import estimate_baseline
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_baseline(
        adsl=pd.read_parquet(snakemake.input.adsl),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
