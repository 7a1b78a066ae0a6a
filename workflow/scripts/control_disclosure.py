"""Make of a cohort's results what may leave the house: public ARD, public curves, and the account of what was done."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import json
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import Disclosure
    from sorafenib_rfa.disclosure.curves import public_curves, stated_counts
    from sorafenib_rfa.disclosure.release import audit_table, control_summary
    from sorafenib_rfa.disclosure.results import public_results
    from sorafenib_rfa.files import read_tables, write_csv, write_parquet

    rules = Disclosure.model_validate(snakemake.params.disclosure)
    ard, curves = pd.read_parquet(snakemake.input.ard), read_tables(snakemake.input.curves)
    results = public_results(
        ard,
        pd.read_parquet(snakemake.input.members),
        rules,
        level=snakemake.params.plan["confidence_level"],
        stated=stated_counts(curves),
    )
    public = public_curves(curves, ard, results, rules)
    write_parquet(results.ard, snakemake.output.ard)
    for name, frame in public.frames.items():
        write_parquet(frame, Path(snakemake.output.curves) / f"{name}.parquet")
    summary = json.dumps(control_summary(results, public, rules), indent=1, ensure_ascii=False)
    Path(snakemake.output.control).write_text(summary + "\n", encoding="utf-8", newline="\n")
    write_csv(audit_table(results), snakemake.output.audit)
