"""Hold the estimates of all simulated cohorts against the truth of their scenarios."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import Plan, StudyPlan
    from sorafenib_rfa.files import write_csv
    from sorafenib_rfa.validation.performance import performance, write_intervals

    table, intervals = performance(
        [Path(path) for path in snakemake.input.estimates],
        {Path(path).stem: pd.read_csv(path) for path in snakemake.input.truth},
        StudyPlan.model_validate(snakemake.params.study),
        level=Plan.model_validate(snakemake.params.plan).confidence_level,
    )
    write_csv(table, snakemake.output.table)
    write_intervals(intervals, snakemake.output.intervals)
