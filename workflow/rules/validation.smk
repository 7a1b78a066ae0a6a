"""What is true in the synthetic cohort. Only rules of this file may read below validation/; none of them feeds an analysis."""

from sorafenib_rfa.config.load import read_yaml, validate
from sorafenib_rfa.config.models import ValidationConfig

try:
    VALIDATION = validate(
        ValidationConfig, read_yaml(ROOT / "config/validation.yaml", "config/validation.yaml"), "config/validation.yaml"
    )
except UserError as error:
    stop(error)


# what the paper of the synthetic cohort shows of the validation, beside its analyses
VALIDATION_EXHIBITS = [
    "results/synthetic/validation/ard/ard.parquet",
    "results/synthetic/validation/tables/recovery.md",
    *multiext("results/synthetic/validation/figures/truth_designs", ".svg", ".png", ".csv"),
]


wildcard_constraints:
    scenario="|".join(VALIDATION.recovery.scenarios),
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
        recovery="validation/recovery.csv",
    output:
        ard="results/synthetic/validation/ard/ard.parquet",
        table=multiext("results/synthetic/validation/tables/recovery", ".md", ".csv"),
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
        sources=content(["validation/recovery.csv"]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
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


rule publish_validation:
    """Put what is true of the simulated cohort beside its public results, with the figure that shows both."""
    input:
        ard="results/synthetic/disclosure/ard/ard.parquet",
        curves="results/synthetic/disclosure/curves",
        truth="results/synthetic/validation/ard/ard.parquet",
        table=multiext("results/synthetic/validation/tables/recovery", ".md", ".csv"),
    output:
        ard="results/synthetic/disclosure/validation/ard/ard.parquet",
        table=multiext("results/synthetic/disclosure/validation/tables/recovery", ".md", ".csv"),
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


rule simulate_recovery:
    """Simulate cohorts of one scenario and analyse each by every design."""
    input:
        parameters=SIMULATION,
    output:
        estimates="results/synthetic/validation/recovery/{scenario}-{chunk}.parquet",
        record="results/synthetic/records/simulate_recovery/{scenario}-{chunk}.json",
    log:
        "logs/synthetic/simulate_recovery-{scenario}-{chunk}.log",
    benchmark:
        "benchmarks/rules/synthetic/simulate_recovery-{scenario}-{chunk}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(30),
        disk_mb=grows(100),
    params:
        code=code("simulate_recovery"),
        environment=environment("simulate_recovery"),
        sources=content([SIMULATION]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
        recovery=VALIDATION.recovery.model_dump(mode="json"),
        regions=lambda wildcards: {name: site.region for name, site in STUDY.cohorts["synthetic"].sites.items()},
    script:
        "../scripts/simulate_recovery.py"


rule summarise_recovery:
    """Hold the estimates of all simulated cohorts against the truth of their scenarios."""
    input:
        parameters=SIMULATION,
        estimates=expand(
            "results/synthetic/validation/recovery/{scenario}-{chunk}.parquet",
            scenario=VALIDATION.recovery.scenarios,
            chunk=range(VALIDATION.recovery.chunks),
        ),
    output:
        table="results/synthetic/validation/recovery/recovery.csv",
        record="results/synthetic/records/summarise_recovery/synthetic.json",
    log:
        "logs/synthetic/summarise_recovery.log",
    benchmark:
        "benchmarks/rules/synthetic/summarise_recovery.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(3000),
        runtime=grows(30),
        disk_mb=grows(100),
    params:
        code=code("summarise_recovery"),
        environment=environment("summarise_recovery"),
        sources=content([SIMULATION]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort="synthetic",
        plan=lambda wildcards: STUDY.plans["synthetic"].model_dump(mode="json"),
        recovery=VALIDATION.recovery.model_dump(mode="json"),
    script:
        "../scripts/summarise_recovery.py"
