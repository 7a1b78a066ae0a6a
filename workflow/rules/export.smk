"""The study for others to check: crate, paperwork and bag, derived from the records of the paper's jobs.

Crate, certificate and bag hold run times: they differ from run to run, unlike everything they describe.
"""


rule write_crate:
    """Describe the jobs behind a paper as a Provenance Run Crate and in W3C PROV."""
    input:
        results=last_results,
    output:
        crate=directory("results/{cohort}/crate"),
        record="results/{cohort}/records/write_crate/{cohort}.json",
    log:
        "logs/{cohort}/write_crate.log",
    benchmark:
        "benchmarks/rules/{cohort}/write_crate.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(200),
    params:
        code=code("write_crate"),
        environment=environment("write_crate"),
        sources=exported_sources,
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        publication_date=str(STUDY.run.publication_date),
    script:
        "../scripts/write_crate.py"


rule write_paperwork:
    """Write codecheck.yml, the draft of a certificate and the README that data editors ask for."""
    input:
        results=last_results,
    output:
        codecheck="results/{cohort}/paperwork/codecheck.yml",
        certificate="results/{cohort}/paperwork/certificate.md",
        aea_readme="results/{cohort}/paperwork/README_AEA.md",
        record="results/{cohort}/records/write_paperwork/{cohort}.json",
    log:
        "logs/{cohort}/write_paperwork.log",
    benchmark:
        "benchmarks/rules/{cohort}/write_paperwork.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("write_paperwork"),
        environment=environment("write_paperwork"),
        sources=exported_sources,
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/write_paperwork.py"


rule pack_bag:
    """Pack sources, data that may be given away, results, records, site and paperwork into a bag that checks itself."""
    input:
        results=last_results,
        paperwork=rules.write_paperwork.output.codecheck,
        site="results/{cohort}/audit",
    output:
        bag="results/{cohort}/bag/{cohort}.zip",
        record="results/{cohort}/records/pack_bag/{cohort}.json",
    log:
        "logs/{cohort}/pack_bag.log",
    benchmark:
        "benchmarks/rules/{cohort}/pack_bag.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(800),
        runtime=grows(10),
        disk_mb=grows(500),
    params:
        code=code("pack_bag"),
        environment=environment("pack_bag"),
        sources=exported_sources,
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
        publication_date=str(STUDY.run.publication_date),
    script:
        "../scripts/pack_bag.py"
