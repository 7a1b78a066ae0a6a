"""Write codecheck.yml, the draft of a certificate and the README that data editors ask for."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.export.contents import read_contents
    from sorafenib_rfa.paperwork.write import write_paperwork

    write_paperwork(
        read_contents(Path.cwd(), this.cohort, snakemake.input.results, allow=this.may_read),
        codecheck=Path(snakemake.output.codecheck),
        certificate=Path(snakemake.output.certificate),
        aea_readme=Path(snakemake.output.aea_readme),
    )
