"""Published evidence: studies instead of patients, so there is nothing to ingest or clean; the rest is as for a cohort."""


rule estimate_evidence:
    """Read and check the tables of published studies; quote, pool and reconstruct their effects; check the editorial."""
    input:
        tables=evidence_files,
        references="manuscript/references.bib",
    output:
        ard=expand("results/{{cohort}}/ard/parts/{part}.parquet", part=EVIDENCE_PARTS),
        members=expand("results/{{cohort}}/ard/members/{part}.parquet", part=EVIDENCE_PARTS),
        curves=expand(
            "results/{{cohort}}/curves/{name}.parquet",
            name=[name for part in EVIDENCE_PARTS for name in CURVES[part]],
        ),
        record="results/{cohort}/records/estimate_evidence/{cohort}.json",
    log:
        "logs/{cohort}/estimate_evidence.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_evidence.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_evidence"),
        environment=environment("estimate_evidence"),
        sources=lambda wildcards: content(evidence_files(wildcards)),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_evidence.py"
