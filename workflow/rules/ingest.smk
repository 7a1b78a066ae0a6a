"""One centre's export to typed canonical tables."""


rule ingest_site:
    """Read a site's export as its configuration says; what cannot be read goes to quarantine with its origin."""
    input:
        exports=site_raw_files,
    output:
        tables=expand("results/{{cohort}}/ingest/{{site}}/{table}.parquet", table=RAW_TABLES),
        quarantine="results/{cohort}/ingest/{site}/quarantine.parquet",
        record="results/{cohort}/records/ingest_site/{cohort}.{site}.json",
    log:
        "logs/{cohort}/{site}/ingest_site.log",
    benchmark:
        "benchmarks/rules/{cohort}/{site}/ingest_site.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("ingest_site"),
        environment=environment("ingest_site"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        site_config=site_config,
        raw_content=raw_content,
        folder=lambda wildcards: raw_folder(STUDY.cohorts[wildcards.cohort], wildcards.site),
    script:
        "../scripts/ingest_site.py"
