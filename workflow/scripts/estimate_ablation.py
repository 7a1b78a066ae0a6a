"""Describe complications of ablation, technique efficacy and local tumour progression."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import pandas as pd

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.estimates.ablation import estimate_ablation
    from sorafenib_rfa.estimates.parts import write_estimates

    estimates = estimate_ablation(
        adproc=pd.read_parquet(snakemake.input.adproc),
        adtum=pd.read_parquet(snakemake.input.adtum),
        adae=pd.read_parquet(snakemake.input.adae),
        adsl=pd.read_parquet(snakemake.input.adsl),
        adex=pd.read_parquet(snakemake.input.adex),
        complication_scales=dict(snakemake.params.complication_scales),
        plan=Plan.model_validate(snakemake.params.plan),
        cohort_name=this.cohort,
        record=this.record,
    )
    write_estimates(estimates, snakemake.output.ard, snakemake.output.members, snakemake.output.curves)
