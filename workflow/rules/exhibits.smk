"""Figures and tables, from ARD and curves only: what they show can be checked against the text number by number.

All figures of a cohort are one job, and all its tables another: they rest on the same files, code and configuration, and
starting Python and its libraries for each would take longer than drawing. Which they are differs from cohort to cohort,
so each cohort has rules of its own, `draw_figures_of_<cohort>`, with one script.
"""

for _cohort, _chosen in STUDY.cohorts.items():
    if _chosen.config.figures:

        rule:
            """Draw the figures of a cohort as SVG, PDF and PNG; each saves the data it drew."""
            name:
                f"draw_figures_of_{_cohort}"
            input:
                ard="results/{cohort}/ard/ard.parquet",
                curves=cohort_curves,
            output:
                images=expand(
                    "results/{{cohort}}/figures/{name}.{kind}", name=_chosen.config.figures, kind=["svg", "pdf", "png"]
                ),
                drawn=expand("results/{{cohort}}/figures/{name}.csv", name=_chosen.config.figures),
                record=f"results/{{cohort}}/records/draw_figures_of_{_cohort}/{{cohort}}.json",
            log:
                "logs/{cohort}/draw_figures.log",
            benchmark:
                "benchmarks/rules/{cohort}/draw_figures.tsv"
            wildcard_constraints:
                cohort=_cohort,
            # the paper waits for its own cohort; others are drawn when a core has nothing else to do
            priority: 0 if _cohort in COHORTS else -1
            conda:
                ENVIRONMENT
            threads: 1
            resources:
                mem_mb=grows(1000),
                runtime=grows(10),
                disk_mb=grows(100),
            params:
                code=code("draw_figures"),
                environment=environment("draw_figures"),
                seed=STUDY.run.seed,
                source_date_epoch=SOURCE_DATE_EPOCH,
                cohort_config=cohort_config,
                plan=plan,
            script:
                "../scripts/draw_figures.py"

    if _chosen.config.tables:

        rule:
            """Make the tables of a cohort in Markdown, each cell bound to its ARD rows, and as data."""
            name:
                f"make_tables_of_{_cohort}"
            input:
                ard="results/{cohort}/ard/ard.parquet",
                # what studies say of themselves is text, which the ARD does not hold
                texts=lambda wildcards: [] if has_patients(wildcards.cohort) else cohort_curves(wildcards),
            output:
                markdown=expand("results/{{cohort}}/tables/{name}.md", name=_chosen.config.tables),
                data=expand("results/{{cohort}}/tables/{name}.csv", name=_chosen.config.tables),
                record=f"results/{{cohort}}/records/make_tables_of_{_cohort}/{{cohort}}.json",
            log:
                "logs/{cohort}/make_tables.log",
            benchmark:
                "benchmarks/rules/{cohort}/make_tables.tsv"
            wildcard_constraints:
                cohort=_cohort,
            conda:
                ENVIRONMENT
            threads: 1
            resources:
                mem_mb=grows(800),
                runtime=grows(10),
                disk_mb=grows(100),
            params:
                code=code("make_tables"),
                environment=environment("make_tables"),
                seed=STUDY.run.seed,
                source_date_epoch=SOURCE_DATE_EPOCH,
                cohort_config=cohort_config,
                plan=plan,
            script:
                "../scripts/make_tables.py"
