"""Put the cohort's published results beside its own."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from sorafenib_rfa.config.models import CohortConfig
    from sorafenib_rfa.estimates.parts import write_estimates
    from sorafenib_rfa.estimates.published import quote_published

    estimates = quote_published(
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, [])
