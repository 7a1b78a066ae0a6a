"""Estimates: each job writes its part of the ARD and the tidy curves that figures draw."""


rule estimate_flow:
    """Count patients through cleaning and eligibility, and quarantined values by rule."""
    input:
        attrition="results/{cohort}/clean/attrition.parquet",
        fates="results/{cohort}/clean/fates.parquet",
        quarantine="results/{cohort}/clean/quarantine.parquet",
    output:
        ard="results/{cohort}/ard/parts/flow.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["flow"]),
        record="results/{cohort}/records/estimate_flow/{cohort}.json",
    log:
        "logs/{cohort}/estimate_flow.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_flow.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=800,
        runtime=10,
    params:
        code=code("estimate_flow"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/estimate_flow.py"


rule estimate_baseline:
    """Describe patients at baseline; propensity score, weights and balance where there are arms."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
    output:
        ard="results/{cohort}/ard/parts/baseline.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["baseline"]),
        record="results/{cohort}/records/estimate_baseline/{cohort}.json",
    log:
        "logs/{cohort}/estimate_baseline.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_baseline.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=800,
        runtime=10,
    params:
        code=code("estimate_baseline"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=PLAN,
    script:
        "../scripts/estimate_baseline.py"


rule estimate_efficacy:
    """Compare recurrence and survival between the arms."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        weights="results/{cohort}/curves/weights.parquet",
    output:
        ard="results/{cohort}/ard/parts/efficacy.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["efficacy"]),
        record="results/{cohort}/records/estimate_efficacy/{cohort}.json",
    log:
        "logs/{cohort}/estimate_efficacy.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_efficacy.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=800,
        runtime=10,
    params:
        code=code("estimate_efficacy"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=PLAN,
    script:
        "../scripts/estimate_efficacy.py"


rule estimate_safety:
    """Count adverse events, RFA complications and exposure."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adex="results/{cohort}/adam/adex.parquet",
        adlb="results/{cohort}/adam/adlb.parquet",
        ablations="results/{cohort}/clean/ablations.parquet",
    output:
        ard="results/{cohort}/ard/parts/safety.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["safety"]),
        record="results/{cohort}/records/estimate_safety/{cohort}.json",
    log:
        "logs/{cohort}/estimate_safety.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_safety.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=800,
        runtime=10,
    params:
        code=code("estimate_safety"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=PLAN,
    script:
        "../scripts/estimate_safety.py"


rule estimate_prognosis:
    """Estimate prognosis by the declared groups of a cohort without treatment arms."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
    output:
        ard="results/{cohort}/ard/parts/prognosis.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["prognosis"]),
        record="results/{cohort}/records/estimate_prognosis/{cohort}.json",
    log:
        "logs/{cohort}/estimate_prognosis.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_prognosis.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=800,
        runtime=10,
    params:
        code=code("estimate_prognosis"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=PLAN,
    script:
        "../scripts/estimate_prognosis.py"


rule collect_ard:
    """Put all parts together; an id that occurs twice is an error."""
    input:
        parts=ard_parts,
    output:
        ard=multiext("results/{cohort}/ard/ard", ".parquet", ".csv"),
        record="results/{cohort}/records/collect_ard/{cohort}.json",
    log:
        "logs/{cohort}/collect_ard.log",
    benchmark:
        "benchmarks/rules/{cohort}/collect_ard.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
    params:
        code=code("collect_ard"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/collect_ard.py"
