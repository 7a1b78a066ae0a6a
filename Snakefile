"""Raw multicentre exports to the paper on sorafenib combined with radiofrequency ablation.

`snakemake` builds the paper of the cohort named in config/config.yaml; `snakemake analysis --config cohort=NAME`
builds one stage of another one. No logic here: configuration, rules, targets.
"""

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/public_data.smk"
include: "workflow/rules/ingest.smk"
include: "workflow/rules/clean.smk"
include: "workflow/rules/adam.smk"
include: "workflow/rules/estimates.smk"
include: "workflow/rules/evidence.smk"
include: "workflow/rules/exhibits.smk"
include: "workflow/rules/notebooks.smk"
include: "workflow/rules/manuscript.smk"
include: "workflow/rules/validation.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/release.smk"


# --- targets: each for every cohort named in the configuration ---------------------------------------------------------


rule paper:
    """The manuscript as HTML, PDF and DOCX, with the executed notebooks beside it."""
    default_target: True
    input:
        paper_targets(),


rule audit:
    """What a stranger checks the paper with: audit site, crate, paperwork, and the bag that carries and checks it all."""
    input:
        audit_targets(),


rule release:
    """What may leave the house, under disclosure control: public results, tables, figures and paper."""
    input:
        expand("results/{cohort}/release", cohort=COHORTS),


rule data:
    """Clean tables, quarantine, attrition ledger and ADaM datasets."""
    input:
        data_targets(),


rule analysis:
    """All results (ARD), with the notebooks that tell them."""
    input:
        analysis_targets(),


rule notebooks:
    """Executed notebooks and their HTML."""
    input:
        notebook_targets(),


rule figures:
    """Figures in SVG, PDF and PNG, each with the data it drew."""
    input:
        figure_targets(),


rule validation:
    """The estimates of the synthetic cohort held against what is true in it; no analysis reads this."""
    input:
        rules.true_estimands.output.table,
        rules.validation_results.output.ard,
        rules.draw_truth.output.figure,


rule validation_study:
    """The simulation study of the estimators, as the plan of config/validation.yaml named by validation_plan declares it."""
    input:
        multiext(
            f"results/synthetic/validation/study/{STUDY.run.validation_plan}/", "performance.csv", "intervals.parquet"
        ),
