"""Estimates: each job writes its part of the ARD, who was counted in it, and the tidy curves that figures draw."""


rule estimate_flow:
    """Count patients through cleaning and eligibility, and quarantined values by rule."""
    input:
        attrition="results/{cohort}/clean/attrition.parquet",
        fates="results/{cohort}/clean/fates.parquet",
        quarantine="results/{cohort}/clean/quarantine.parquet",
    output:
        ard="results/{cohort}/ard/parts/flow.parquet",
        members="results/{cohort}/ard/members/flow.parquet",
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
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_flow"),
        environment=environment("estimate_flow"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
    script:
        "../scripts/estimate_flow.py"


rule estimate_baseline:
    """Describe patients at baseline; propensity score, weights and balance where there are arms."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
    output:
        ard="results/{cohort}/ard/parts/baseline.parquet",
        members="results/{cohort}/ard/members/baseline.parquet",
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
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_baseline"),
        environment=environment("estimate_baseline"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
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
        members="results/{cohort}/ard/members/efficacy.parquet",
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
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_efficacy"),
        environment=environment("estimate_efficacy"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_efficacy.py"


rule estimate_target_trial:
    """Emulate the target trial: clone, censor, weight; and Cox with time-varying exposure."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
    output:
        ard="results/{cohort}/ard/parts/target_trial.parquet",
        members="results/{cohort}/ard/members/target_trial.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["target_trial"]),
        record="results/{cohort}/records/estimate_target_trial/{cohort}.json",
    log:
        "logs/{cohort}/estimate_target_trial.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_target_trial.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_target_trial"),
        environment=environment("estimate_target_trial"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_target_trial.py"


rule estimate_time_to_event:
    """Competing risks, effects that vary with time, interval censoring, differences between centres."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        weights="results/{cohort}/curves/weights.parquet",
    output:
        ard="results/{cohort}/ard/parts/time_to_event.parquet",
        members="results/{cohort}/ard/members/time_to_event.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["time_to_event"]),
        record="results/{cohort}/records/estimate_time_to_event/{cohort}.json",
    log:
        "logs/{cohort}/estimate_time_to_event.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_time_to_event.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_time_to_event"),
        environment=environment("estimate_time_to_event"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_time_to_event.py"


rule estimate_subgroups:
    """Compare the arms within subgroups and test for interaction."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        weights="results/{cohort}/curves/weights.parquet",
    output:
        ard="results/{cohort}/ard/parts/subgroups.parquet",
        members="results/{cohort}/ard/members/subgroups.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["subgroups"]),
        record="results/{cohort}/records/estimate_subgroups/{cohort}.json",
    log:
        "logs/{cohort}/estimate_subgroups.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_subgroups.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_subgroups"),
        environment=environment("estimate_subgroups"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_subgroups.py"


rule estimate_repeat_rfa:
    """Compare repeat RFA sessions as recurrent events, with death as terminal event."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adrecur="results/{cohort}/adam/adrecur.parquet",
        ablations="results/{cohort}/clean/ablations.parquet",
        weights="results/{cohort}/curves/weights.parquet",
    output:
        ard="results/{cohort}/ard/parts/repeat_rfa.parquet",
        members="results/{cohort}/ard/members/repeat_rfa.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["repeat_rfa"]),
        record="results/{cohort}/records/estimate_repeat_rfa/{cohort}.json",
    log:
        "logs/{cohort}/estimate_repeat_rfa.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_repeat_rfa.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_repeat_rfa"),
        environment=environment("estimate_repeat_rfa"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_repeat_rfa.py"


rule estimate_sensitivity:
    """Matching, multiple imputation, tipping points, negative control, specification curve."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        ablations="results/{cohort}/clean/ablations.parquet",
        weights="results/{cohort}/curves/weights.parquet",
    output:
        ard="results/{cohort}/ard/parts/sensitivity.parquet",
        members="results/{cohort}/ard/members/sensitivity.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["sensitivity"]),
        record="results/{cohort}/records/estimate_sensitivity/{cohort}.json",
    log:
        "logs/{cohort}/estimate_sensitivity.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_sensitivity.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_sensitivity"),
        environment=environment("estimate_sensitivity"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_sensitivity.py"


rule estimate_safety:
    """Count adverse events by exposure: overview, classes, terms and grades."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adex="results/{cohort}/adam/adex.parquet",
    output:
        ard="results/{cohort}/ard/parts/safety.parquet",
        members="results/{cohort}/ard/members/safety.parquet",
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
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_safety"),
        environment=environment("estimate_safety"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        plan=plan,
    script:
        "../scripts/estimate_safety.py"


rule estimate_exposure:
    """Describe the drug taken, and compare those still on it with those who stopped at landmarks."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adex="results/{cohort}/adam/adex.parquet",
    output:
        ard="results/{cohort}/ard/parts/exposure.parquet",
        members="results/{cohort}/ard/members/exposure.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["exposure"]),
        record="results/{cohort}/records/estimate_exposure/{cohort}.json",
    log:
        "logs/{cohort}/estimate_exposure.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_exposure.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_exposure"),
        environment=environment("estimate_exposure"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        plan=plan,
    script:
        "../scripts/estimate_exposure.py"


rule estimate_ablation:
    """Complications of ablation by session and patient; technique efficacy and local progression by tumour."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adex="results/{cohort}/adam/adex.parquet",
        adproc="results/{cohort}/adam/adproc.parquet",
        adtum="results/{cohort}/adam/adtum.parquet",
    output:
        ard="results/{cohort}/ard/parts/ablation.parquet",
        members="results/{cohort}/ard/members/ablation.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["ablation"]),
        record="results/{cohort}/records/estimate_ablation/{cohort}.json",
    log:
        "logs/{cohort}/estimate_ablation.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_ablation.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_ablation"),
        environment=environment("estimate_ablation"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        complication_scales=graded_complications,
        plan=plan,
    script:
        "../scripts/estimate_ablation.py"


rule estimate_liver:
    """Describe liver function by exposure: worst grades, ALBI, signals of liver injury."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adex="results/{cohort}/adam/adex.parquet",
        adlb="results/{cohort}/adam/adlb.parquet",
    output:
        ard="results/{cohort}/ard/parts/liver.parquet",
        members="results/{cohort}/ard/members/liver.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["liver"]),
        record="results/{cohort}/records/estimate_liver/{cohort}.json",
    log:
        "logs/{cohort}/estimate_liver.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_liver.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_liver"),
        environment=environment("estimate_liver"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        plan=plan,
    script:
        "../scripts/estimate_liver.py"


rule estimate_benefit_risk:
    """Weigh benefits and harms under the strategies of the emulated trial; partitioned survival."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
        adae="results/{cohort}/adam/adae.parquet",
        adlb="results/{cohort}/adam/adlb.parquet",
    output:
        ard="results/{cohort}/ard/parts/benefit_risk.parquet",
        members="results/{cohort}/ard/members/benefit_risk.parquet",
        curves=expand("results/{{cohort}}/curves/{name}.parquet", name=CURVES["benefit_risk"]),
        record="results/{cohort}/records/estimate_benefit_risk/{cohort}.json",
    log:
        "logs/{cohort}/estimate_benefit_risk.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_benefit_risk.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("estimate_benefit_risk"),
        environment=environment("estimate_benefit_risk"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_benefit_risk.py"


rule estimate_prognosis:
    """Estimate prognosis by the declared groups of a cohort without treatment arms."""
    input:
        adsl="results/{cohort}/adam/adsl.parquet",
        adtte="results/{cohort}/adam/adtte.parquet",
    output:
        ard="results/{cohort}/ard/parts/prognosis.parquet",
        members="results/{cohort}/ard/members/prognosis.parquet",
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
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_prognosis"),
        environment=environment("estimate_prognosis"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/estimate_prognosis.py"


rule quote_published:
    """Put the published results that a cohort declares into its ARD, marked as quoted."""
    output:
        ard="results/{cohort}/ard/parts/published.parquet",
        members="results/{cohort}/ard/members/published.parquet",
        record="results/{cohort}/records/quote_published/{cohort}.json",
    log:
        "logs/{cohort}/quote_published.log",
    benchmark:
        "benchmarks/rules/{cohort}/quote_published.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(5),
        disk_mb=grows(100),
    params:
        code=code("quote_published"),
        environment=environment("quote_published"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
    script:
        "../scripts/quote_published.py"


rule estimate_agreement:
    """Take over the agreement of the estimators with R, as `make crosscheck` stored it."""
    input:
        agreement="validation/agreement.csv",
    output:
        ard="results/{cohort}/ard/parts/agreement.parquet",
        members="results/{cohort}/ard/members/agreement.parquet",
        record="results/{cohort}/records/estimate_agreement/{cohort}.json",
    log:
        "logs/{cohort}/estimate_agreement.log",
    benchmark:
        "benchmarks/rules/{cohort}/estimate_agreement.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("estimate_agreement"),
        environment=environment("estimate_agreement"),
        sources=content(["validation/agreement.csv"]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/estimate_agreement.py"


rule collect_ard:
    """Put all parts together; an id that occurs twice is an error, and so is a count of others than its members."""
    input:
        parts=ard_parts("parts"),
        members=ard_parts("members"),
    output:
        ard=multiext("results/{cohort}/ard/ard", ".parquet", ".csv"),
        members="results/{cohort}/ard/members.parquet",
        record="results/{cohort}/records/collect_ard/{cohort}.json",
    log:
        "logs/{cohort}/collect_ard.log",
    benchmark:
        "benchmarks/rules/{cohort}/collect_ard.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("collect_ard"),
        environment=environment("collect_ard"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/collect_ard.py"
