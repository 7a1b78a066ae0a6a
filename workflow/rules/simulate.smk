"""Simulation of the default cohort; its truth goes where no analysis rule reads (tests/workflow proves it)."""


rule simulate_raw:
    """Simulate the synthetic cohort into the raw exports of six centres."""
    input:
        parameters=SIMULATION,
    output:
        exports=all_raw_files("synthetic") if "synthetic" in STUDY.cohorts else [],
        truth="results/synthetic/validation/truth.parquet",
        dirt="results/synthetic/validation/dirt.parquet",
        record="results/synthetic/records/simulate_raw/synthetic.json",
    log:
        "logs/synthetic/simulate_raw.log",
    benchmark:
        "benchmarks/rules/synthetic/simulate_raw.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("simulate_raw"),
        environment=environment("simulate_raw"),
        sources=content([SIMULATION]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
    script:
        "../scripts/simulate_raw.py"
