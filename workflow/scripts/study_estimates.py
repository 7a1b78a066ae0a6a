"""Simulate cohorts of one scenario and size and analyse each by every estimator."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.study import simulate_estimates

    study, wildcards = snakemake.params.study, snakemake.wildcards
    estimates = simulate_estimates(
        load_parameters(Path(snakemake.input.parameters), size=int(wildcards.screened), scenario=wildcards.scenario),
        Plan.model_validate(snakemake.params.plan),
        snakemake.params.regions,
        range(*snakemake.params.cohorts),
        study["estimators"],
        # the study's seed, not this job's: a cohort must not depend on the job it falls to
        seed=study["seed"],
        resamples=study["resamples"],
    )
    write_parquet(estimates, snakemake.output.estimates)
