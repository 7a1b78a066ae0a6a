"""Take over the agreement of the estimators with R."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.estimates.agreement import estimate_agreement
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_agreement(
        pd.read_csv(snakemake.input.agreement, dtype=str, keep_default_na=False).astype({"values": int}),
        this.cohort,
        this.record,
        shown_as=snakemake.input.agreement,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, [])
