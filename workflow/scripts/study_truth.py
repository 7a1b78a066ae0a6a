"""Compute what each estimator of the validation study could find in a scenario."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.files import write_csv
    from sorafenib_rfa.simulate import load_parameters
    from sorafenib_rfa.validation.truths import true_values

    study = snakemake.params.study
    truth = true_values(
        load_parameters(Path(snakemake.input.parameters), scenario=snakemake.wildcards.scenario),
        Plan.model_validate(snakemake.params.plan),
        snakemake.params.regions,
        study["estimators"],
        seed=study["seed"],
        screened=study["truth_screened"],
    )
    write_csv(truth, snakemake.output.table)
