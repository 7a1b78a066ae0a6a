"""The audit site: the paper in which every number opens its chain back to the raw rows.

It shows run times and the run log, so one file of it (data/run.js) differs from run to run, unlike everything else in it.
"""


rule build_audit_site:
    """Build the site, one folder that opens from disk, in which numbers, sentences, tables and figures can be pressed."""
    input:
        results=last_results,
        uses="results/{cohort}/manuscript/uses.csv",
        ard=audited("results/{cohort}/ard/ard.parquet"),
        members=audited("results/{cohort}/ard/members.parquet"),
        ledger=audited(
            "results/{cohort}/clean/attrition.parquet",
            "results/{cohort}/clean/fates.parquet",
            "results/{cohort}/clean/quarantine.parquet",
            patients=True,
        ),
        dictionary=audited("results/{cohort}/adam/data_dictionary.csv", patients=True),
        claims="manuscript/claims.yaml",
        checklists=multiext("results/{cohort}/paperwork/", "strobe.md", "target.md", "plan.md"),
        agreement="validation/agreement.csv",
    output:
        site=directory("results/{cohort}/audit"),
        record="results/{cohort}/records/build_audit_site/{cohort}.json",
    log:
        "logs/{cohort}/build_audit_site.log",
    benchmark:
        "benchmarks/rules/{cohort}/build_audit_site.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=grows(1000),
        runtime=grows(10),
        disk_mb=grows(100),
    params:
        code=code("build_audit_site"),
        environment=environment("build_audit_site"),
        sources=exported_sources,
        seed=STUDY.run.seed,
        source_date_epoch=SOURCE_DATE_EPOCH,
    script:
        "../scripts/build_audit_site.py"
