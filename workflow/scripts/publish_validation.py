"""Put what is true of the simulated cohort beside its public results, with the figures that show it."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import shutil
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.disclosure.results import outside_results
    from sorafenib_rfa.exhibits.draw import save_figure
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.validation.results import draw_truth

    public, truth = pd.read_parquet(snakemake.input.ard), outside_results(pd.read_parquet(snakemake.input.truth))
    write_parquet(truth, snakemake.output.ard)
    # the study speaks of cohorts simulated anew, of which no patient is in the results
    for source, destination in zip(snakemake.input.study, snakemake.output.study, strict=True):
        shutil.copyfile(source, destination)
    figure, drawn = draw_truth(
        public,
        truth,
        pd.read_parquet(Path(snakemake.input.curves) / "designs_rfs.parquet"),
        CohortConfig.model_validate(snakemake.params.cohort_config),
        Plan.model_validate(snakemake.params.plan),
    )
    stem = Path(snakemake.output.drawn).with_suffix("")
    save_figure(figure, drawn, stem, source_date_epoch=snakemake.params.source_date_epoch)
