"""What a run on a cluster is asked and tells, beyond Snakemake's own messages. No rules here; a local run has none of it."""

# Snakemake imports each executor plugin that is installed; only then is there one to mend
if workflow.is_main_process and "snakemake_executor_plugin_slurm" in sys.modules:
    from sorafenib_rfa.cluster.slurm_silence import keep_jobs_without_answer

    keep_jobs_without_answer(sys.modules["snakemake_executor_plugin_slurm"])


def tell_reasons(log):
    """Say why Slurm ended jobs, in whatever attempt: Snakemake's own words leave it open."""
    from sorafenib_rfa.cluster.slurm_reasons import report

    for path in log:
        print(report(Path(path)), end="", file=sys.stderr)


onstart:
    from sorafenib_rfa.cluster.earlier_run import refuse_while_at_work

    try:
        refuse_while_at_work(ROOT)
    except UserError as error:
        stop(error)


onsuccess:
    tell_reasons(log)


onerror:
    tell_reasons(log)
