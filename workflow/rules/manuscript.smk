"""The manuscript: shortcodes bound to ARD are expanded, then one source is rendered three times."""

CHECKLISTS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "manuscript" / "checklists").glob("*.yaml"))


rule render_manuscript:
    """Expand the manuscript's numbers and claims from ARD, render HTML, PDF and DOCX, fill checklists."""
    input:
        sources=MANUSCRIPT_SOURCES,
        checklists=CHECKLISTS,
        ard=lambda wildcards: expand("results/{cohort}/ard/ard.parquet", cohort=paper_cohorts(wildcards)),
        tables=lambda wildcards: [path for cohort in paper_cohorts(wildcards) for path in tables_of(cohort)],
        figures=lambda wildcards: [
            path for cohort in paper_cohorts(wildcards) for path in figures_of(cohort, kinds=["svg", "png", "csv"])
        ],
        texts=texts_of_studies,
        validation=lambda wildcards: VALIDATION_EXHIBITS if wildcards.cohort == "synthetic" else [],
    output:
        papers=multiext("results/{cohort}/manuscript/paper", ".html", ".pdf", ".docx"),
        uses="results/{cohort}/manuscript/uses.csv",
        source=directory("results/{cohort}/manuscript/source"),
        paperwork=expand(
            "results/{{cohort}}/paperwork/{name}.md", name=[*(Path(path).stem for path in CHECKLISTS), "plan"]
        ),
        record="results/{cohort}/records/render_manuscript/{cohort}.json",
    log:
        "logs/{cohort}/render_manuscript.log",
    benchmark:
        "benchmarks/rules/{cohort}/render_manuscript.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(10),
        disk_mb=grows(300),
    params:
        code=code("render_manuscript"),
        environment=environment("render_manuscript", named=PRINTED_VERSIONS),
        sources=content([*MANUSCRIPT_SOURCES, *CHECKLISTS]),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohorts=lambda wildcards: {
            name: STUDY.cohorts[name].config.model_dump(mode="json") for name in paper_cohorts(wildcards)
        },
        sites=site_titles,
        plan=plan,
        publication_date=str(STUDY.run.publication_date),
        renderer=RENDERER,
    script:
        "../scripts/render_manuscript.py"
