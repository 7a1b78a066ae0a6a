"""Simulate the synthetic cohort into raw exports."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.files import write_parquet
    from sorafenib_rfa.simulate import load_parameters, simulate_raw

    study = simulate_raw(load_parameters(Path(snakemake.input.parameters)), seed=this.seed)
    for site, files in study.exports.items():
        for name, content in files.items():
            path = Path(snakemake.params.raw, site, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    write_parquet(study.truth, snakemake.output.truth)
    write_parquet(study.dirt, snakemake.output.dirt)
