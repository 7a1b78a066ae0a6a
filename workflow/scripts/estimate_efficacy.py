"""Compare recurrence and survival between the arms."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.efficacy import estimate_efficacy
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_efficacy(
        adtte=pd.read_parquet(snakemake.input.adtte),
        adsl=pd.read_parquet(snakemake.input.adsl),
        weights=pd.read_parquet(snakemake.input.weights),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
        seed=this.seed,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
