"""Draw the figures of a cohort and save the data they drew."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
    from sorafenib_rfa.files import TablesOnDemand

    ard = pd.read_parquet(snakemake.input.ard)
    curves = TablesOnDemand(snakemake.input.curves)
    cohort = CohortConfig.model_validate(snakemake.params.cohort_config)
    plan = Plan.model_validate(snakemake.params.plan)
    for path in snakemake.output.drawn:
        stem = Path(path).with_suffix("")
        print(stem.name)
        figure, drawn = draw_figure(stem.name, ard=ard, curves=curves, cohort=cohort, plan=plan)
        save_figure(figure, drawn, stem, source_date_epoch=snakemake.params.source_date_epoch)
