"""Execute one notebook and make its page."""

from sorafenib_rfa.records.job import job

with job(snakemake) as this:
    from pathlib import Path

    from sorafenib_rfa.notebooks.runner import NotebookJob, run_notebooks

    executed = Path(snakemake.output.executed)
    imported = run_notebooks(
        [
            NotebookJob(
                source=Path(snakemake.input.notebook),
                output_ipynb=executed,
                output_html=Path(snakemake.output.html),
                parameters={"cohort": this.cohort, "results_dir": str(executed.parents[1])},
                synthetic=snakemake.params.cohort_config["synthetic"],
                partial=Path(snakemake.log[0]).with_suffix(".ipynb"),
            )
        ]
    )
    this.imported_elsewhere(imported.distributions, imported.modules)
