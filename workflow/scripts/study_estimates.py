"""Simulate cohorts of one scenario and size and analyse each by every estimator."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import time
    from pathlib import Path

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.study import simulate_estimates

    study, wildcards = snakemake.params.study, snakemake.wildcards
    began = time.perf_counter()
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
    # in the log: how long the cohorts took of the job's time
    print(f"{estimates['replicate'].nunique()} cohorts in {time.perf_counter() - began:.2f} seconds")
    write_parquet(estimates, snakemake.output.estimates)
