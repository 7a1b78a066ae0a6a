"""Put the parts of the ARD together, and who was counted in them."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.coded import write_blocks
    from sorafenib_rfa.estimates.collect import collect_ard, member_files
    from sorafenib_rfa.estimates.counted import MEMBER_COLUMNS
    from sorafenib_rfa.files import read_tables, write_table

    ard = collect_ard(read_tables(snakemake.input.parts).values())
    write_table(ard, Path(snakemake.output.ard[0]).with_suffix(""))
    write_blocks(member_files(snakemake.input.members, ard), MEMBER_COLUMNS, snakemake.output.members)
