"""Write the adjuvant colon cancer trial as a raw export."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.public_data import colon_export, load_colon

    (export,) = map(Path, snakemake.output.export)
    export.write_bytes(colon_export(load_colon()))
