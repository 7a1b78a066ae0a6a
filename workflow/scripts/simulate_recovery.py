"""Simulate cohorts of one scenario and analyse each by every design."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import Plan, Recovery
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.recovery import replicates_of, simulate_replicates

    study = Recovery.model_validate(snakemake.params.recovery)
    estimates = simulate_replicates(
        load_parameters(Path(snakemake.input.parameters), size=study.screened, scenario=snakemake.wildcards.scenario),
        Plan.model_validate(snakemake.params.plan),
        snakemake.params.regions,
        replicates_of(int(snakemake.wildcards.chunk), study.chunks, study.replicates),
        # the study's seed, not this job's: a cohort must not depend on the chunk it falls into
        seed=snakemake.params.seed,
        resamples=study.resamples,
    )
    write_parquet(estimates, snakemake.output.estimates)
