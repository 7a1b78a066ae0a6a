"""Hold the estimates of all simulated cohorts against the truth of their scenarios."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import Plan, Recovery
    from sorafenib_rfa.files import write_csv
    from sorafenib_rfa.simulate import load_parameters, true_estimands
    from sorafenib_rfa.validation.recovery import performance

    study = Recovery.model_validate(snakemake.params.recovery)
    truths = {
        scenario: true_estimands(
            load_parameters(Path(snakemake.input.parameters), size=study.screened, scenario=scenario),
            snakemake.params.seed,
            study.truth_screened,
        )
        for scenario in study.scenarios
    }
    table = performance(
        pd.concat([pd.read_parquet(path) for path in snakemake.input.estimates], ignore_index=True),
        truths,
        float(Plan.model_validate(snakemake.params.plan).rmst_horizon_months),
    )
    write_csv(table, snakemake.output.table)
