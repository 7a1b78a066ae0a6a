"""Expand the manuscript, hold it against its rules, render it to HTML, PDF and DOCX; fill the checklists."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.manuscript.configured import build_configured_manuscript

    build_configured_manuscript(
        this.cohort,
        snakemake.params,
        destination=Path(snakemake.output.uses).parent,
        inputs_seal=this.inputs_seal,
        paperwork=Path(snakemake.output.paperwork[0]).parent,
        validation=snakemake.input.get("validation", []),
    )
