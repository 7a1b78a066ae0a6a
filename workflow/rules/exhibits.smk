"""Figures and tables, from ARD and curves only: what they show can be checked against the text number by number."""


rule draw_figure:
    """Draw one figure as SVG, PDF and PNG; it saves the data it drew."""
    input:
        ard="results/{cohort}/ard/ard.parquet",
        curves=cohort_curves,
    output:
        images=multiext("results/{cohort}/figures/{figure}", ".svg", ".pdf", ".png"),
        drawn="results/{cohort}/figures/{figure}.csv",
        record="results/{cohort}/records/draw_figure/{cohort}.{figure}.json",
    log:
        "logs/{cohort}/draw_figure/{figure}.log",
    benchmark:
        "benchmarks/rules/{cohort}/draw_figure/{figure}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("draw_figure"),
        environment=environment("draw_figure"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/draw_figure.py"


rule make_table:
    """Make one table in Markdown, each cell bound to its ARD rows, and as data."""
    input:
        ard="results/{cohort}/ard/ard.parquet",
        # what studies say of themselves is text, which the ARD does not hold
        texts=lambda wildcards: [] if has_patients(wildcards.cohort) else cohort_curves(wildcards),
    output:
        markdown="results/{cohort}/tables/{table}.md",
        data="results/{cohort}/tables/{table}.csv",
        record="results/{cohort}/records/make_table/{cohort}.{table}.json",
    log:
        "logs/{cohort}/make_table/{table}.log",
    benchmark:
        "benchmarks/rules/{cohort}/make_table/{table}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("make_table"),
        environment=environment("make_table"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/make_table.py"
