"""Expand and render the manuscript from what of its results may leave the house."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import CohortConfig, Plan
    from sorafenib_rfa.manuscript.build import build_manuscript

    build_manuscript(
        this.cohort,
        manuscript=Path("manuscript"),
        results=Path("results"),
        destination=Path(snakemake.output.uses).parent,
        cohorts={name: CohortConfig.model_validate(c) for name, c in snakemake.params.cohorts.items()},
        sites=snakemake.params.sites,
        plan=Plan.model_validate(snakemake.params.plan),
        publication_date=snakemake.params.publication_date,
        source_date_epoch=snakemake.params.source_date_epoch,
        engine=snakemake.params.renderer,
        inputs_seal=this.inputs_seal,
        paperwork=Path(snakemake.output.paperwork),
        validation=next((Path(path).parents[1] for path in snakemake.input.get("validation", [])), None),
        folders={Path(path).parts[1]: Path(path).parents[1] for path in snakemake.input.ard},
        audit_href=None,
    )
