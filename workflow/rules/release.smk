"""What may leave the house: public results, exhibits and paper, looked through before the folder is finished."""


rule control_disclosure:
    """Suppress, round and coarsen a cohort's results and curves until no small group can be told or worked out."""
    input:
        ard="results/{cohort}/ard/ard.parquet",
        members="results/{cohort}/ard/members.parquet",
        curves=cohort_curves,
    output:
        ard="results/{cohort}/disclosure/ard/ard.parquet",
        curves=directory("results/{cohort}/disclosure/curves"),
        control="results/{cohort}/disclosure/control.json",
        audit="results/{cohort}/disclosure/audit.csv",
        record="results/{cohort}/records/control_disclosure/{cohort}.json",
    log:
        "logs/{cohort}/control_disclosure.log",
    benchmark:
        "benchmarks/rules/{cohort}/control_disclosure.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(20),
        disk_mb=grows(100),
    params:
        code=code("control_disclosure"),
        environment=environment("control_disclosure"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        disclosure=STUDY.run.disclosure.model_dump(mode="json"),
        plan=plan,
    script:
        "../scripts/control_disclosure.py"


rule make_public_exhibits:
    """Make all tables and figures of a cohort from its public results; what cannot be shown says that it is withheld."""
    input:
        ard=rules.control_disclosure.output.ard,
        curves=rules.control_disclosure.output.curves,
        control=rules.control_disclosure.output.control,
    output:
        tables=directory("results/{cohort}/disclosure/tables"),
        figures=directory("results/{cohort}/disclosure/figures"),
        withheld="results/{cohort}/disclosure/withheld_figures.csv",
        record="results/{cohort}/records/make_public_exhibits/{cohort}.json",
    log:
        "logs/{cohort}/make_public_exhibits.log",
    benchmark:
        "benchmarks/rules/{cohort}/make_public_exhibits.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("make_public_exhibits"),
        environment=environment("make_public_exhibits"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        cohort_config=cohort_config,
        plan=plan,
    script:
        "../scripts/make_public_exhibits.py"


rule render_public_manuscript:
    """Render the paper from public results: what is withheld reads so, and sentences that rest on it are not said."""
    input:
        sources=MANUSCRIPT_SOURCES,
        checklists=CHECKLISTS,
        ard=public("ard/ard.parquet"),
        exhibits=public("tables", "figures"),
        texts=public_texts_of_studies,
        validation=released_validation,
    output:
        papers=multiext("results/{cohort}/disclosure/manuscript/paper", ".html", ".pdf", ".docx"),
        uses="results/{cohort}/disclosure/manuscript/uses.csv",
        source=directory("results/{cohort}/disclosure/manuscript/source"),
        paperwork=directory("results/{cohort}/disclosure/paperwork"),
        record="results/{cohort}/records/render_public_manuscript/{cohort}.json",
    log:
        "logs/{cohort}/render_public_manuscript.log",
    benchmark:
        "benchmarks/rules/{cohort}/render_public_manuscript.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1500),
        runtime=grows(10),
        disk_mb=grows(300),
    params:
        code=code("render_public_manuscript"),
        environment=environment("render_public_manuscript", named=PRINTED_VERSIONS),
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
        "../scripts/render_public_manuscript.py"


rule check_release:
    """Put the release together and look through every file of it; it fails with a list of what it found."""
    input:
        ard=public("ard/ard.parquet"),
        control=public("control.json", "withheld_figures.csv"),
        exhibits=public("tables", "figures"),
        # identifiers that must not be found; those of studies may
        members=released_members,
        papers=released_papers,
        validation=released_validation,
    output:
        release=directory("results/{cohort}/release"),
        record="results/{cohort}/records/check_release/{cohort}.json",
    log:
        "logs/{cohort}/check_release.log",
    benchmark:
        "benchmarks/rules/{cohort}/check_release.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(300),
    params:
        code=code("check_release"),
        environment=environment("check_release"),
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        disclosure=STUDY.run.disclosure.model_dump(mode="json"),
        publication_date=str(STUDY.run.publication_date),
    script:
        "../scripts/check_release.py"
