"""What is true in the synthetic cohort. Only rules of this file may read below validation/; none of them feeds an analysis."""

from sorafenib_rfa.config.load import read_yaml, validate
from sorafenib_rfa.config.models import ValidationConfig
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.validation import STORED

try:
    VALIDATION = validate(
        ValidationConfig, read_yaml(ROOT / "config/validation.yaml", "config/validation.yaml"), "config/validation.yaml"
    )
    if STUDY.run.validation_plan not in VALIDATION.plans:
        raise ConfigError(
            Problem(
                "there is no such plan of the validation study",
                file="config/config.yaml",
                column="validation_plan",
                found=STUDY.run.validation_plan,
                expected="a plan of config/validation.yaml: " + ", ".join(VALIDATION.plans),
            )
        )
except UserError as error:
    stop(error)


# a run of another cohort does not load the synthetic one
REGIONS = (
    {name: site.region for name, site in STUDY.cohorts["synthetic"].sites.items()}
    if "synthetic" in STUDY.cohorts
    else {}
)
STUDY_TABLES = ["study_primary", "study_estimators", "study_failures"]
STUDY_FIGURES = ["study_zip_rmst", "study_zip_hr", "study_loop_rmst", "study_loop_hr"]
# the stored result of the validation study; where there is none, the paper says that it was not run
STORED_STUDY = [path for path in STORED if (ROOT / path).exists()]


# what the paper of the synthetic cohort shows of the validation, beside its analyses
VALIDATION_EXHIBITS = [
    "results/synthetic/validation/ard/ard.parquet",
    *validation_files("validation/tables", STUDY_TABLES, ".md"),
    *validation_files("validation/figures", ["truth_designs", *STUDY_FIGURES], ".svg", ".png", ".csv"),
]


wildcard_constraints:
    study="|".join(VALIDATION.plans),
    scenario=r"[a-z][a-z0-9_]*",
    screened=r"\d+",
    chunk=r"\d+",


rule true_estimands:
    """Compute the true effects of the simulated scenario from both potential outcomes of many patients."""
    input:
        parameters=SIMULATION,
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
        mem_mb=grows(2000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("true_estimands"),
        environment=environment("true_estimands"),
        sources=content([SIMULATION]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        screened=40000,
        # adverse events are simulated patient by patient
        screened_for_harms=10000,
    script:
        "../scripts/true_estimands.py"


rule validation_results:
    """Put the true values, each design's error against its own truth, and the stored simulation study into ARD rows."""
    input:
        ard="results/synthetic/ard/ard.parquet",
        truth="results/synthetic/validation/true_estimands.csv",
        parameters=SIMULATION,
        stored=STORED_STUDY,
    output:
        ard="results/synthetic/validation/ard/ard.parquet",
        tables=validation_files("validation/tables", STUDY_TABLES, ".md", ".csv"),
        record="results/synthetic/records/validation_results/synthetic.json",
    log:
        "logs/synthetic/validation_results.log",
    benchmark:
        "benchmarks/rules/synthetic/validation_results.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("validation_results"),
        environment=environment("validation_results"),
        sources=content([SIMULATION, *STORED_STUDY]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        study=VALIDATION.plans[STUDY.run.validation_plan].model_dump(mode="json"),
        regions=REGIONS,
        code_files_changed=study_code_changed,
        cohort_config=lambda wildcards: STUDY.cohorts["synthetic"].config.model_dump(mode="json"),
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
    script:
        "../scripts/validation_results.py"


rule draw_truth:
    """Draw the designs side by side with the truth of the simulation."""
    input:
        ard="results/synthetic/ard/ard.parquet",
        validation="results/synthetic/validation/ard/ard.parquet",
        curve="results/synthetic/curves/designs_rfs.parquet",
    output:
        figure=multiext("results/synthetic/validation/figures/truth_designs", ".svg", ".pdf", ".png"),
        drawn="results/synthetic/validation/figures/truth_designs.csv",
        record="results/synthetic/records/draw_truth/synthetic.json",
    log:
        "logs/synthetic/draw_truth.log",
    benchmark:
        "benchmarks/rules/synthetic/draw_truth.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("draw_truth"),
        environment=environment("draw_truth"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        cohort_config=lambda wildcards: STUDY.cohorts["synthetic"].config.model_dump(mode="json"),
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
    script:
        "../scripts/draw_truth.py"


rule draw_validation:
    """Draw the validation study: its intervals as zip plots, its performance measures as nested-loop plots."""
    input:
        ard="results/synthetic/validation/ard/ard.parquet",
        parameters=SIMULATION,
        stored=STORED_STUDY,
    output:
        figures=validation_files("validation/figures", STUDY_FIGURES, ".svg", ".pdf", ".png"),
        drawn=validation_files("validation/figures", STUDY_FIGURES, ".csv"),
        record="results/synthetic/records/draw_validation/synthetic.json",
    log:
        "logs/synthetic/draw_validation.log",
    benchmark:
        "benchmarks/rules/synthetic/draw_validation.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("draw_validation"),
        environment=environment("draw_validation"),
        sources=content([SIMULATION, *STORED_STUDY]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        study=VALIDATION.plans[STUDY.run.validation_plan].model_dump(mode="json"),
        regions=REGIONS,
        cohort_config=lambda wildcards: STUDY.cohorts["synthetic"].config.model_dump(mode="json"),
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
    script:
        "../scripts/draw_validation.py"


rule publish_validation:
    """Put what is true of the simulated cohort beside its public results, with the figures that show it."""
    input:
        ard="results/synthetic/disclosure/ard/ard.parquet",
        curves="results/synthetic/disclosure/curves",
        truth="results/synthetic/validation/ard/ard.parquet",
        study=[
            *validation_files("validation/tables", STUDY_TABLES, ".md", ".csv"),
            *validation_files("validation/figures", STUDY_FIGURES, ".svg", ".pdf", ".png", ".csv"),
        ],
    output:
        ard="results/synthetic/disclosure/validation/ard/ard.parquet",
        study=[
            *validation_files("disclosure/validation/tables", STUDY_TABLES, ".md", ".csv"),
            *validation_files("disclosure/validation/figures", STUDY_FIGURES, ".svg", ".pdf", ".png", ".csv"),
        ],
        figure=multiext("results/synthetic/disclosure/validation/figures/truth_designs", ".svg", ".pdf", ".png"),
        drawn="results/synthetic/disclosure/validation/figures/truth_designs.csv",
        record="results/synthetic/records/publish_validation/synthetic.json",
    log:
        "logs/synthetic/publish_validation.log",
    benchmark:
        "benchmarks/rules/synthetic/publish_validation.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("publish_validation"),
        environment=environment("publish_validation"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        cohort_config=lambda wildcards: STUDY.cohorts["synthetic"].config.model_dump(mode="json"),
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
    script:
        "../scripts/publish_validation.py"


# --- the validation study ------------------------------------------------------------------------------------------------
# Its jobs are many and its result is stored (validation/README.md): no paper asks for them.


rule study_truth:
    """Compute what each estimator of the study could find in a scenario."""
    input:
        parameters=SIMULATION,
    output:
        table="results/synthetic/validation/study/{study}/truth/{scenario}.csv",
        record="results/synthetic/records/study_truth/{study}-{scenario}.json",
    log:
        "logs/synthetic/study_truth-{study}-{scenario}.log",
    benchmark:
        "benchmarks/rules/synthetic/study_truth-{study}-{scenario}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(4000),
        runtime=grows(30),
        disk_mb=grows(100),
    params:
        code=code("study_truth"),
        environment=environment("study_truth"),
        sources=content([SIMULATION]),
        seed=lambda wildcards: study_plan(wildcards).seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
        study=of_study("seed", "estimators", "truth_screened"),
        regions=REGIONS,
    script:
        "../scripts/study_truth.py"


rule study_estimates:
    """Simulate cohorts of one scenario and size and analyse each by every estimator."""
    input:
        parameters=SIMULATION,
    output:
        estimates="results/synthetic/validation/study/{study}/estimates/{scenario}-{screened}-{chunk}.parquet",
        record="results/synthetic/records/study_estimates/{study}-{scenario}-{screened}-{chunk}.json",
    log:
        "logs/synthetic/study_estimates-{study}-{scenario}-{screened}-{chunk}.log",
    benchmark:
        "benchmarks/rules/synthetic/study_estimates-{study}-{scenario}-{screened}-{chunk}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(60),
        disk_mb=grows(100),
    params:
        code=code("study_estimates"),
        environment=environment("study_estimates"),
        sources=content([SIMULATION]),
        seed=lambda wildcards: study_plan(wildcards).seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
        study=of_study("seed", "estimators", "resamples"),
        cohorts=cohorts_of_chunk,
        regions=REGIONS,
    script:
        "../scripts/study_estimates.py"


rule study_performance:
    """Hold the estimates of all simulated cohorts against the truth of their scenarios."""
    input:
        truth=lambda wildcards: expand(
            "results/synthetic/validation/study/{study}/truth/{scenario}.csv",
            study=wildcards.study,
            scenario=study_plan(wildcards).scenarios,
        ),
        estimates=study_chunks,
    output:
        table="results/synthetic/validation/study/{study}/performance.csv",
        intervals="results/synthetic/validation/study/{study}/intervals.parquet",
        record="results/synthetic/records/study_performance/{study}.json",
    log:
        "logs/synthetic/study_performance-{study}.log",
    benchmark:
        "benchmarks/rules/synthetic/study_performance-{study}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(30),
        disk_mb=grows(100),
    params:
        code=code("study_performance"),
        environment=environment("study_performance"),
        seed=lambda wildcards: study_plan(wildcards).seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
        # what is merged belongs to this plan as a whole, how it was divided does not
        study=lambda wildcards: study_plan(wildcards).model_dump(mode="json"),
    script:
        "../scripts/study_performance.py"
