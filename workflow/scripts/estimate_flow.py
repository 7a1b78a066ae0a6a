"""Count patients and quarantined values."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig
    from sorafenib_rfa.estimates.flow import estimate_flow
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_flow(
        attrition=pd.read_parquet(snakemake.input.attrition),
        fates=pd.read_parquet(snakemake.input.fates),
        quarantine=pd.read_parquet(snakemake.input.quarantine),
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
