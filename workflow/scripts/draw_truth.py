"""Draw the designs side by side with the truth of the simulation."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.exhibits.draw import save_figure
    from sorafenib_rfa.validation.results import draw_truth

    figure, drawn = draw_truth(
        pd.read_parquet(snakemake.input.ard),
        pd.read_parquet(snakemake.input.validation),
        pd.read_parquet(snakemake.input.curve),
        CohortConfig.model_validate(snakemake.params.cohort_config),
        Plan.model_validate(snakemake.params.plan),
    )
    stem = Path(snakemake.output.drawn).with_suffix("")
    save_figure(figure, drawn, stem, source_date_epoch=snakemake.params.source_date_epoch)
