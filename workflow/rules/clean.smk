"""Cleaning rules, eligibility and the ledgers that account for every row and patient."""


rule clean_cohort:
    """Apply cleaning rules and eligibility steps to all sites; write quarantine and attrition ledgers."""
    input:
        tables=lambda wildcards: [path for table in RAW_TABLES for path in ingested(table)(wildcards)],
        quarantine=ingested("quarantine"),
    output:
        tables=expand("results/{{cohort}}/clean/{table}.parquet", table=RAW_TABLES),
        ledgers=multiext(
            "results/{cohort}/clean/", "quarantine.parquet", "quarantine.csv", "attrition.parquet", "attrition.csv"
        ),
        fates="results/{cohort}/clean/fates.parquet",
        incomplete_ablations="results/{cohort}/clean/incomplete_ablations.parquet",
        record="results/{cohort}/records/clean_cohort/{cohort}.json",
    log:
        "logs/{cohort}/clean_cohort.log",
    benchmark:
        "benchmarks/rules/{cohort}/clean_cohort.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("clean_cohort"),
        environment=environment("clean_cohort"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        sites=site_configs,
        plan=plan,
    script:
        "../scripts/clean_cohort.py"
