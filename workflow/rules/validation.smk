"""What is true in the synthetic cohort. Only rules of this file may read below validation/; none of them feeds the paper."""


rule true_estimands:
    """Compute the true effects of the simulated scenario from both potential outcomes of many patients."""
    input:
        parameters="config/cohorts/synthetic/simulation.yaml",
        truth="results/synthetic/validation/truth.parquet",
    output:
        table="results/synthetic/validation/true_estimands.csv",
        record="results/synthetic/records/true_estimands/synthetic.json",
    log:
        "logs/synthetic/true_estimands.log",
    benchmark:
        "benchmarks/rules/synthetic/true_estimands.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("true_estimands"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        screened=40000,
    script:
        "../scripts/true_estimands.py"
