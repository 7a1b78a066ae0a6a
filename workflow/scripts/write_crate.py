"""Describe the jobs behind a paper as a Provenance Run Crate and in W3C PROV."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.export.contents import read_contents
    from sorafenib_rfa.export.crate import write_crate

    contents = read_contents(Path.cwd(), this.cohort, snakemake.input.results, allow=this.may_read)
    write_crate(contents, Path(snakemake.output.crate), snakemake.params.publication_date)
