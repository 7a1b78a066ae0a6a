"""Make the tables and figures of a cohort from what of its results may leave the house."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import json
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.disclosure.exhibits import write_public_exhibits
    from sorafenib_rfa.disclosure.release import write_figures_withheld
    from sorafenib_rfa.files import TablesOnDemand

    withheld = write_public_exhibits(
        pd.read_parquet(snakemake.input.ard),
        TablesOnDemand(sorted(str(path) for path in Path(snakemake.input.curves).glob("*.parquet"))),
        json.loads(Path(snakemake.input.control).read_text(encoding="utf-8"))["withheld_curves"],
        cohort=CohortConfig.model_validate(snakemake.params.cohort_config),
        plan=Plan.model_validate(snakemake.params.plan),
        tables=Path(snakemake.output.tables),
        figures=Path(snakemake.output.figures),
        source_date_epoch=snakemake.params.source_date_epoch,
    )
    write_figures_withheld(withheld, Path(snakemake.output.withheld))
