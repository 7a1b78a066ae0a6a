"""Compute the true effects of the simulated scenario."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.files import write_csv
    from sorafenib_rfa.simulate import load_parameters, true_estimands

    truth = pd.read_parquet(snakemake.input.truth)
    estimands = true_estimands(
        load_parameters(Path(snakemake.input.parameters)),
        this.seed,
        snakemake.params.screened,
        centre_log_hazards=truth.groupby("site")["centre_log_hazard"].first().to_dict(),
    )
    write_csv(estimands, snakemake.output.table)
