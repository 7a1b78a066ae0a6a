"""Compute the true effects of the simulated scenario."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.files import write_csv
    from sorafenib_rfa.simulate import load_parameters, true_benefit_risk, true_estimands

    truth = pd.read_parquet(snakemake.input.truth)
    parameters = load_parameters(Path(snakemake.input.parameters))
    centres = truth.groupby("site")["centre_log_hazard"].first().to_dict()
    estimands = [
        true_estimands(parameters, this.seed, snakemake.params.screened, centre_log_hazards=centres),
        true_benefit_risk(parameters, this.seed, snakemake.params.screened_for_harms, centre_log_hazards=centres),
    ]
    write_csv(pd.concat(estimands, ignore_index=True), snakemake.output.table)
