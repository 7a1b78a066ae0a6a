"""Pack sources, data that may be given away, results, records and paperwork into a bag that checks itself."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.export.bag import write_bag
    from sorafenib_rfa.export.contents import read_contents

    write_bag(
        read_contents(Path.cwd(), this.cohort, map(str, snakemake.input), allow=this.may_read),
        Path(snakemake.output.bag),
        publication_date=snakemake.params.publication_date,
        source_date_epoch=snakemake.params.source_date_epoch,
    )
