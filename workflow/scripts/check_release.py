"""Put together what leaves the house, and look through all of it; anything found ends the job, and nothing is left."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    import json
    from pathlib import Path

    import pandas as pd

    from sorafenib_rfa.config.models import Disclosure
    from sorafenib_rfa.disclosure.release import PublicPart, identifiers, read_figures_withheld, write_release

    parts = []
    for path in snakemake.input.ard:
        folder = Path(path).parents[1]
        parts.append(
            PublicPart(
                cohort=folder.parts[1],
                ard=pd.read_parquet(path),
                tables=folder / "tables",
                figures=folder / "figures",
                control=json.loads((folder / "control.json").read_text(encoding="utf-8")),
                withheld_figures=read_figures_withheld(folder / "withheld_figures.csv"),
            )
        )
    truth = [Path(path) for path in snakemake.input.validation if path.endswith(".parquet")]
    shown = [Path(path) for path in snakemake.input.validation if not path.endswith(".parquet")]
    write_release(
        parts,
        [Path(path) for path in snakemake.input.papers],
        Path(snakemake.output.release),
        rules=Disclosure.model_validate(snakemake.params.disclosure),
        validation=(pd.read_parquet(truth[0]), shown) if truth else None,
        publication_date=snakemake.params.publication_date,
        secrets=identifiers(pd.read_parquet(path, columns=["USUBJID"]) for path in snakemake.input.members),
    )
