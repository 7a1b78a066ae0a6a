"""Put true values, each design's error against them, and the stored validation study into ARD rows and tables."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan, StudyPlan
    from sorafenib_rfa.estimates.collect import collect_ard
    from sorafenib_rfa.exhibits.tables import make_table, write_table
    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.validation.cells import cells_ard
    from sorafenib_rfa.validation.results import validation_ard
    from sorafenib_rfa.validation.stored import load_stored, study_ard

    plan, study = Plan.model_validate(snakemake.params.plan), StudyPlan.model_validate(snakemake.params.study)
    whose = {"cohort_name": this.cohort, "record": this.record}
    rows = validation_ard(pd.read_parquet(snakemake.input.ard), pd.read_csv(snakemake.input.truth), plan, **whose)
    stored = load_stored(
        [Path(path) for path in snakemake.input.stored],
        study,
        plan,
        Path(snakemake.input.parameters),
        snakemake.params.regions,
    )
    performance = study_ard(stored, study, code_files_changed=snakemake.params.code_files_changed, **whose)
    collected = collect_ard([rows, performance, cells_ard(performance, plan.confidence_level, **whose)])
    write_parquet(collected, snakemake.output.ard)
    for markdown, data in zip(snakemake.output.tables[::2], snakemake.output.tables[1::2], strict=True):
        table = make_table(
            Path(markdown).stem,
            ard=collected,
            cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
            plan=plan,
        )
        write_table(table, markdown, data)
