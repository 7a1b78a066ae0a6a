"""ADaM datasets and their data dictionary."""


rule build_adam:
    """Derive ADSL, ADTTE and, where the cohort offers them, ADAE, ADLB, ADEX, ADRECUR, ADPROC and ADTUM."""
    input:
        tables=expand("results/{{cohort}}/clean/{table}.parquet", table=RAW_TABLES),
        incomplete_ablations="results/{cohort}/clean/incomplete_ablations.parquet",
    output:
        datasets=expand("results/{{cohort}}/adam/{name}.{kind}", name=ADAM_DATASETS, kind=["parquet", "csv"]),
        dictionary=multiext("results/{cohort}/adam/data_dictionary", ".csv", ".md"),
        record="results/{cohort}/records/build_adam/{cohort}.json",
    log:
        "logs/{cohort}/build_adam.log",
    benchmark:
        "benchmarks/rules/{cohort}/build_adam.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("build_adam"),
        environment=environment("build_adam"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        sites=site_titles,
        plan=plan,
    script:
        "../scripts/build_adam.py"
