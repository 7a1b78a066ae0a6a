"""Expand and render the manuscript from what of its results may leave the house."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.manuscript.configured import build_configured_manuscript

    build_configured_manuscript(
        this.cohort,
        snakemake.params,
        destination=Path(snakemake.output.uses).parent,
        inputs_seal=this.inputs_seal,
        paperwork=Path(snakemake.output.paperwork),
        validation=snakemake.input.get("validation", []),
        folders={Path(path).parts[1]: Path(path).parents[1] for path in snakemake.input.ard},
        audit_href=None,
    )
