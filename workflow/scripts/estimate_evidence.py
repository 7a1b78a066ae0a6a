"""Quote, pool and reconstruct what published studies report, and hold the editorial against them."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.config.models import Plan
    from sorafenib_rfa.estimates.evidence import estimate_evidence
    from sorafenib_rfa.estimates.parts import CURVES, write_estimates
    from sorafenib_rfa.evidence.tables import read_evidence

    folder = Path(snakemake.params.cohort_config["raw"])
    parts = estimate_evidence(
        read_evidence(folder, shown_folder=str(folder), bibliography=Path(snakemake.input.references)),
        folder / "digitised",
        Plan.model_validate(snakemake.params.plan),
        cohort_name=this.cohort,
        record=this.record,
    )
    for part, ard, members in zip(parts, snakemake.output.ard, snakemake.output.members, strict=True):
        curves = [path for path in snakemake.output.curves if Path(path).stem in CURVES[part]]
        write_estimates(parts[part], ard, members, curves)
