"""Build the audit site of a cohort's paper."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.audit.build import build_audit_site

    build_audit_site(Path.cwd(), this.cohort, Path(snakemake.output.site), allow=this.may_read)
