"""Real public data that come with a package instead of lying in data/public; nothing of them is stored here."""


rule fetch_colon_adjuvant:
    """Write the adjuvant colon cancer trial (survival::colon) as one CSV export, from the installed package."""
    output:
        export=all_raw_files("colon_adjuvant") if "colon_adjuvant" in STUDY.cohorts else [],
        record="results/colon_adjuvant/records/fetch_colon_adjuvant/colon_adjuvant.json",
    log:
        "logs/colon_adjuvant/fetch_colon_adjuvant.log",
    benchmark:
        "benchmarks/rules/colon_adjuvant/fetch_colon_adjuvant.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(5),
        disk_mb=grows(100),
    params:
        code=code("fetch_colon_adjuvant"),
        environment=environment("fetch_colon_adjuvant"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="colon_adjuvant",
    script:
        "../scripts/fetch_colon_adjuvant.py"
