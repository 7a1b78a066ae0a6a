"""Put the parts of the ARD together."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.estimates.collect import collect_ard
    from sorafenib_rfa.files import read_tables, write_table

    parts = read_tables(snakemake.input.parts)
    ard = collect_ard(parts.values())
    write_table(ard, Path(snakemake.output.ard[0]).with_suffix(""))
