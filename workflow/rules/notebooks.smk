"""Notebooks that tell the story: parameterised, executed by papermill as a library, stored byte-stable."""


rule run_notebook:
    """Check a notebook's parameters, execute it, normalise the executed copy and make its HTML."""
    input:
        notebook="notebooks/{notebook}.ipynb",
        data=of_patients("adam/data_dictionary.csv"),
        ard="results/{cohort}/ard/ard.parquet",
        ledgers=of_patients("clean/attrition.parquet", "clean/quarantine.parquet"),
        figures=lambda wildcards: figures_of(wildcards.cohort, kinds=["svg"]),
        tables=lambda wildcards: tables_of(wildcards.cohort),
    output:
        executed="results/{cohort}/notebooks/{notebook}.ipynb",
        html="results/{cohort}/notebooks/{notebook}.html",
        record="results/{cohort}/records/run_notebook/{cohort}.{notebook}.json",
    log:
        "logs/{cohort}/run_notebook/{notebook}.log",
    benchmark:
        "benchmarks/rules/{cohort}/run_notebook/{notebook}.tsv"
    # nothing waits for a notebook, so the paper is rendered before
    priority: -1
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("run_notebook"),
        environment=lambda wildcards: environment("run_notebook", f"notebooks/{wildcards.notebook}.ipynb"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        notebook_code=lambda wildcards: CODE.digest(f"notebooks/{wildcards.notebook}.ipynb"),
        cohort_config=cohort_config,
    script:
        "../scripts/run_notebook.py"
