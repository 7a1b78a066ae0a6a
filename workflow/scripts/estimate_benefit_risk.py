"""Weigh benefits and harms under the strategies of the emulated trial; partitioned survival."""

from sorafenib_rfa.records.job import derived_seed, job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.benefit_risk import estimate_benefit_risk
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_benefit_risk(
        adsl=pd.read_parquet(snakemake.input.adsl),
        adtte=pd.read_parquet(snakemake.input.adtte),
        adae=pd.read_parquet(snakemake.input.adae),
        adlb=pd.read_parquet(snakemake.input.adlb),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
        # the resamples of the primary analysis: an interval that both parts give is the same interval
        seed=derived_seed(int(snakemake.params.seed), "estimate_target_trial", this.cohort),
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
