"""Compare repeat RFA sessions as recurrent events, with death as terminal event."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.estimates.parts import write_estimates
    from sorafenib_rfa.estimates.repeat_rfa import estimate_repeat_rfa

    estimates = estimate_repeat_rfa(
        adsl=pd.read_parquet(snakemake.input.adsl),
        adrecur=pd.read_parquet(snakemake.input.adrecur),
        ablations=pd.read_parquet(snakemake.input.ablations),
        weights=pd.read_parquet(snakemake.input.weights),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
        seed=this.seed,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
