"""Draw the validation study: its intervals as zip plots, its performance measures as nested-loop plots."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan, StudyPlan
    from sorafenib_rfa.exhibits.draw import save_figure
    from sorafenib_rfa.validation.figures import draw_validation
    from sorafenib_rfa.validation.stored import load_stored

    ard = pd.read_parquet(snakemake.input.ard)
    plan = Plan.model_validate(snakemake.params.plan)
    stored = load_stored(
        [Path(path) for path in snakemake.input.stored],
        StudyPlan.model_validate(snakemake.params.study),
        plan,
        Path(snakemake.input.parameters),
        snakemake.params.regions,
    )
    for path in map(Path, snakemake.output.drawn):
        figure, drawn = draw_validation(
            path.stem, ard, stored.intervals, CohortConfig.model_validate(snakemake.params.cohort_config), plan
        )
        save_figure(figure, drawn, path.with_suffix(""), source_date_epoch=snakemake.params.source_date_epoch)
