"""Simulate the synthetic cohort into raw exports."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.simulate import load_parameters, simulate_raw

    study = simulate_raw(load_parameters(Path(snakemake.input.parameters)), seed=this.seed)
    for path in map(Path, snakemake.output.exports):
        path.write_bytes(study.exports[path.parent.name][path.name])
    write_parquet(study.truth, snakemake.output.truth)
    write_parquet(study.dirt, snakemake.output.dirt)
