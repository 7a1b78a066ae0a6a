"""Emulate the target trial: clone, censor, weight; and Cox with time-varying exposure."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.parts import write_estimates
    from sorafenib_rfa.estimates.target_trial import estimate_target_trial

    estimates = estimate_target_trial(
        adsl=pd.read_parquet(snakemake.input.adsl),
        adtte=pd.read_parquet(snakemake.input.adtte),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
        seed=this.seed,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
