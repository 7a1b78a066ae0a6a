"""What the doctor says before a run on a cluster: settings and their origin, what is lost, limits, time."""

import json
import os
import shutil
import time

import pytest
from click.testing import CliRunner

from sorafenib_rfa.cli import main
from sorafenib_rfa.cluster import doctor
from sorafenib_rfa.cluster.forecast import forecast
from sorafenib_rfa.cluster.settings import parse_arguments, read_settings
from sorafenib_rfa.cluster.slurm import Unanswered, minutes, pairs, read_cluster
from sorafenib_rfa.cluster.submissions import submissions
from sorafenib_rfa.errors import UserError
from sorafenib_rfa.provenance.plan import Option, PlannedJob
from tests.checkout import copy_of_repository

# --- what a real Slurm 22.05.8 printed (the cluster of tests/cluster), shortened to the lines and fields that are read

CONFIG = """\
Configuration data as of 2026-11-22T05:00:10
AccountingStorageType   = accounting_storage/none
ClusterName             = loopback
EnforcePartLimits       = ALL
JobRequeue              = 1
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at vm is UP
"""
NODE = (
    "NodeName={name} Arch=x86_64 CoresPerSocket=1  CPUAlloc=0 CPUEfctv=2 CPUTot=2 CPULoad=12.59 Gres=(null) "
    "OS=Linux 6.18.44-fc-v595 #1 SMP PREEMPT_DYNAMIC @0  RealMemory=8000 AllocMem=0 Sockets=2 State={state} "
    "Partitions=main  BootTime=2026-11-21T11:36:00 Reason=test [root@2026-11-22T05:00:01]\n"
)
PARTITION = (
    "PartitionName=main AllowGroups=ALL AllowAccounts=ALL AllowQos=ALL Default=YES DefaultTime=00:10:00 "
    "MaxNodes=UNLIMITED MaxTime=1-00:00:00 MinNodes=0 MaxCPUsPerNode=UNLIMITED Nodes=n[1-2] State=UP TotalCPUs=4 "
    "TotalNodes=2 DefMemPerCPU=500 MaxMemPerNode=UNLIMITED TRES=cpu=4,mem=16000M,node=2,billing=4\n"
)
NODES = NODE.format(name="n1", state="IDLE") + NODE.format(name="n2", state="IDLE")


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Commands that print what a real cluster printed; call it with other text to change that."""
    folder = tmp_path / "commands"
    folder.mkdir()

    def say(config=CONFIG, node=NODES, partition=PARTITION, associations="", first=""):
        for name, text in (("config", config), ("node", node), ("partition", partition), ("accounts", associations)):
            (folder / name).write_text(text, encoding="utf-8")
        for name, script in (
            ("scontrol", f'{first}\ncat "{folder}/$2"'),
            ("sacctmgr", f'{first}\ncat "{folder}/accounts"'),
            ("sbatch", "exit 1"),
            ("squeue", "exit 1"),
        ):
            path = folder / name
            path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            path.chmod(0o755)

    say()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return say


# the options of Snakemake 9.27 that these tests use, as its own parser has them
OPTIONS = {
    name: Option((f"--{name}", *more), values, default)
    for name, values, default, *more in [
        ("executor", None, None, "-e"),
        ("jobs", "?", None, "-j"),
        ("cores", "?", None, "-c"),
        ("retries", None, 0, "--restart-times", "-T"),
        ("keep-going", 0, False, "-k"),
        ("printshellcmds", 0, False, "-p"),
        ("config", "*", None, "-C"),
        ("default-resources", "*", None, "--default-res"),
        *((name, "+", None) for name in ("groups", "group-components", "set-resources")),
        *((name, None, None) for name in ("scheduler", "latency-wait", "slurm-status-command", "slurm-array-jobs")),
        *((name, None, None) for name in ("htcondor-held-timeout",)),
        ("slurm-no-requeue", 0, False),
    ]
}


# --- settings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def root(tmp_path):
    """A repository with two profiles, and a rule."""
    root = tmp_path / "repository"
    for name, text in {
        "Snakefile": "",
        "config/config.yaml": "# which\ncohort: synthetic\n",
        "profiles/default/config.yaml": "cores: all\n\n# why\nscheduler: greedy\n",
        "profiles/slurm/config.yaml": (
            "executor: slurm\ncores: 2\njobs: 10\nretries: 2\nslurm-status-command: squeue\nslurm-no-requeue: true\n"
            "default-resources:\n  slurm_extra: x\n"
        ),
        "workflow/rules/one.smk": (
            "rule one:\n    resources:\n        mem_mb=grows(800),\n        runtime=grows(10),\n    script:\n"
            "        'x'\n\n\nrule two:\n    resources:\n        mem_mb=grows(9000),\n"
        ),
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def site(root, text):
    (root / "profiles/slurm/site.yaml").write_text(text, encoding="utf-8")


def test_each_setting_says_where_it_stands_and_what_it_takes_the_place_of(root):
    site(root, "# mine\ndefault-resources:\n  slurm_partition: main\n")
    settings = read_settings(root, "slurm", "-j5 --config cohort=other", OPTIONS)
    assert settings.files == [
        f"profiles/{name}" for name in ("default/config.yaml", "slurm/config.yaml", "slurm/site.yaml")
    ]
    places = {key: (each.value, each.origin, each.place) for key, each in settings.by_key.items()}
    assert places["scheduler"] == ("greedy", "profile", "profiles/default/config.yaml:4")
    assert places["cores"] == (2, "profile", "profiles/slurm/config.yaml:2")
    assert places["default-resources"] == ({"slurm_partition": "main"}, "site", "profiles/slurm/site.yaml:2")
    assert places["jobs"] == ("5", "command line", "command line")
    assert places["config:cohort"] == ("other", "command line", "command line")
    assert [(lost.value, lost.place) for lost in settings.by_key["config:cohort"].lost] == [
        ("synthetic", "config/config.yaml:2")
    ]
    assert [(lost.value, lost.place) for lost in settings.by_key["cores"].lost] == [
        ("all", "profiles/default/config.yaml:1")
    ]
    assert settings.resources("default-resources") == {"slurm_partition": "main"}


def test_a_profile_that_is_not_there_or_no_yaml_is_told_with_its_file(root):
    with pytest.raises(UserError, match=r"(?s)profiles/slurmm/config.yaml.*default, slurm"):
        read_settings(root, "slurmm", "", OPTIONS)
    site(root, "a: [1\n")
    with pytest.raises(UserError, match=r"profiles/slurm/site.yaml: this is no YAML"):
        read_settings(root, "slurm", "", OPTIONS)


@pytest.mark.parametrize(
    ("text", "options", "targets"),
    [
        ("", {}, []),
        ("paper audit", {}, ["paper", "audit"]),
        ("data --jobs 5 --keep-going", {"jobs": "5", "keep-going": True}, ["data"]),
        (
            "-j4 -c2 -k -p results/x",
            {"jobs": "4", "cores": "2", "keep-going": True, "printshellcmds": True},
            ["results/x"],
        ),
        (
            "--default-res mem_mb=1 slurm_extra=\"'-C x'\" --restart-times=3",
            {"default-resources": ["mem_mb=1", "slurm_extra='-C x'"], "retries": "3"},
            [],
        ),
    ],
)
def test_a_command_line_is_read_as_snakemake_reads_it(text, options, targets):
    assert parse_arguments(text, OPTIONS) == (options, targets, [])


def test_an_argument_that_snakemake_does_not_know_or_that_lacks_its_value_is_told():
    assert parse_arguments("paper --job-count 5", OPTIONS)[2] == ["--job-count"]
    with pytest.raises(UserError, match=r"(?s)could not read this command line.*--retries"):
        parse_arguments("--retries", OPTIONS)


# --- what is submitted ---------------------------------------------------------------------------------------------


def job(name, *inputs, rule=None, mem_mb=800, minutes=10, attempts=3, **more):
    resources = [
        {"mem_mb": mem_mb * attempt, "runtime": minutes * attempt, "disk_mb": 100 * attempt}
        for attempt in range(1, attempts + 1)
    ]
    inputs = [f"{each}.out" for each in inputs]
    values = {
        "source": "workflow/rules/one.smk:1",
        "resources": resources,
        "benchmark": f"benchmarks/{name}.tsv",
    } | more
    return PlannedJob(rule or name, {}, inputs, [f"{name}.out"], f"{name}.json", {}, {}, [], True, [], **values)


def grouped(root, *, cores=2, groups, components=None):
    text = json.dumps({"groups": groups, "group-components": components or {}, "cores": cores})
    site(root, text)
    return read_settings(root, "slurm", "", OPTIONS)


def test_members_of_a_group_that_rest_on_each_other_are_submitted_together(root):
    plan = [job("a"), job("b", "a"), job("c", "b"), job("d", "c")]
    made = submissions(plan, grouped(root, groups={"b": "data", "c": "data"}))
    assert [(each.group, [member.rule for member in each.jobs]) for each in made] == [
        ("", ["a"]),
        ("data", ["b", "c"]),
        ("", ["d"]),
    ]
    assert [each.after for each in made] == [frozenset(), {0}, {1}]


def test_of_those_that_do_not_as_many_travel_together_as_the_profile_says(root):
    plan = [job(f"site{number}", rule="ingest", minutes=10) for number in range(7)]
    made = submissions(plan, grouped(root, groups={"ingest": "sites"}, components={"sites": 3}))
    assert [len(each.jobs) for each in made] == [3, 3, 1]
    # two members run side by side: memory of two; three times ten minutes in two lanes
    assert (made[0].asks("mem_mb", 1), made[0].asks("runtime", 1), made[0].cpus) == (1600, 15, 2)
    assert (made[0].asks("mem_mb", 3), made[0].asks("runtime", 3)) == (4800, 45)
    assert (made[2].asks("mem_mb", 1), made[2].asks("runtime", 1), made[2].cpus) == (800, 10, 1)


def test_what_is_made_already_and_targets_are_not_submitted(root):
    plan = [job("a"), PlannedJob("paper", {}, ["a.out"], [], None, {}, {}, [], True, [])]
    done = PlannedJob("b", {}, [], ["b.out"], "b.json", {}, {}, [], False, [])
    assert [each.name for each in submissions([*plan, done], read_settings(root, "slurm", "", OPTIONS))] == ["a"]


def measured(root, **seconds):
    for name, times in seconds.items():
        path = root / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\th:m:s\tmax_rss\n" + "".join(f"{each}\t-\t1\n" for each in times), encoding="utf-8")


def test_a_forecast_plays_the_graph_through_on_the_slots(root):
    # by hand: a (10 s), then b, c, d (20 s each, two at a time: 40 s), then e (30 s): 80 s, never less than 60 s
    plan = [job("a"), job("b", "a"), job("c", "a"), job("d", "a"), job("e", "b", "c", "d")]
    measured(root, a=[8, 12], b=[20], c=[20], d=[20], e=[30])
    made = submissions(plan, read_settings(root, "slurm", "", OPTIONS))
    expected = forecast(root, made, slots=2, start_seconds=0)
    assert (expected.wall_seconds, expected.longest_seconds) == (80, 60)
    assert expected.core_hours == pytest.approx(100 / 3600)
    assert (expected.jobs, expected.submissions, expected.measured, expected.at_limit) == (5, 5, 5, 0)
    later = forecast(root, made, slots=2, start_seconds=5)
    assert later.wall_seconds == 80 + 4 * 5  # a, two rounds of b c d, e: each starts once
    assert forecast(root, made, slots=99, start_seconds=0).wall_seconds == 60


def test_a_job_without_a_benchmark_is_taken_as_its_rule_or_at_its_limit_and_that_is_said(root):
    plan = [job("a", rule="site"), job("b", rule="site"), job("c", minutes=7)]
    measured(root, a=[30])
    expected = forecast(root, submissions(plan, read_settings(root, "slurm", "", OPTIONS)), slots=1, start_seconds=0)
    assert expected.wall_seconds == 30 + 30 + 7 * 60
    assert (expected.measured, expected.by_rule, expected.at_limit) == (1, 1, 1)
    assert expected.at_limit_rules == ["c"]


def test_what_was_measured_with_other_wildcards_counts_for_the_rule(root):
    measured(root, **{"part-default-1": [10], "part-default-2": [20], "party": [999]})
    new = job("part-large-7", rule="part")
    plan = [PlannedJob(**{**vars(new), "wildcards": {"plan": "large", "chunk": "7"}})]
    expected = forecast(root, submissions(plan, read_settings(root, "slurm", "", OPTIONS)), slots=1, start_seconds=0)
    assert (expected.wall_seconds, expected.by_rule, expected.at_limit) == (15, 1, 0)


def test_members_of_a_group_run_in_its_lanes_and_after_what_they_rest_on(root):
    plan = [job("a"), job("b"), job("c", "a")]
    measured(root, a=[10], b=[4], c=[6])
    settings = grouped(root, groups={"a": "g", "b": "g", "c": "g"}, components={"g": 9})
    made = submissions(plan, settings)
    assert len(made) == 1
    expected = forecast(root, made, slots=1, start_seconds=1)
    assert expected.wall_seconds == 10 + 6 + 1
    assert expected.core_hours == pytest.approx(2 * 17 / 3600)  # two cores are reserved all the time


# --- the cluster ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [("30", 30), ("90:30", 90.5), ("01:30:00", 90), ("2-00:00:00", 2880), ("1-12", 2160), ("UNLIMITED", float("inf"))],
)
def test_slurm_times_in_minutes(text, value):
    assert minutes(text) == value


def test_what_slurm_says_is_read(cluster):
    found = read_cluster("me")
    assert (found.name, found.version) == ("loopback", "22.05.8")
    assert (found.enforces_limits, found.keeps_accounts, found.starts_lost_jobs_again) == (True, False, True)
    main_partition = found.partitions["main"]
    assert found.default_partition is main_partition
    assert (main_partition.up, main_partition.cpus, main_partition.max_cpus) == (True, 4, 2)
    assert (main_partition.max_minutes, main_partition.max_mem_mb) == (1440, 8000)
    assert pairs("A=1 B=x=y  C=")["B"] == "x=y"


def test_nodes_that_are_down_count_for_nothing(cluster):
    cluster(node=NODE.format(name="n1", state="DOWN") + NODE.format(name="n2", state="IDLE+DRAIN"))
    assert read_cluster("me").partitions["main"].cpus == 0


def test_a_controller_that_does_not_answer_is_told_within_seconds(cluster):
    cluster(first="exec sleep 60")
    began = time.monotonic()
    with pytest.raises(Unanswered, match=r"`scontrol show config` was not answered within 0.5 s"):
        read_cluster("me", seconds=0.5)
    assert time.monotonic() - began < 5


# --- findings ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(root, monkeypatch):
    """Ask the doctor about a plan, as if every plugin were installed; return its findings as kind -> texts."""
    plan = [job("one")]
    monkeypatch.setattr(doctor, "read_plan", lambda *_: plan)
    monkeypatch.setattr(doctor, "read_options", lambda _: OPTIONS)
    monkeypatch.setattr(doctor, "_no_plugin", lambda _: False)

    def ask(*jobs, profile="slurm", arguments=""):
        plan[:] = jobs or [job("one")]
        found = doctor.diagnose(root, profile, (), arguments, seconds=2, user="me")
        return found, [(finding.kind, finding.text, finding.place) for finding in found.findings]

    return ask


def test_a_profile_that_fits_its_cluster_has_nothing_to_be_said_of(asked, cluster):
    found, findings = asked()
    assert findings == []
    assert found.good
    assert found.partition == "main"
    assert found.forecast.slots == 4  # the profile allows ten, the partition has four CPUs
    rule = found.rules[0]
    assert rule.resources["mem_mb"] == [800, 1600, 2400]
    assert rule.origins["mem_mb"] == "workflow/rules/one.smk:3"
    assert rule.origins["disk_mb"] == "Snakemake's default"


def test_what_the_command_line_takes_away_is_named(asked, cluster):
    _, findings = asked(arguments="--default-resources mem_mb=1000")
    assert findings == [
        (
            "loses",
            "default-resources of command line takes the place of the whole key: slurm_extra is lost",
            "profiles/slurm/config.yaml:7",
        )
    ]


def test_a_key_that_two_files_of_a_cluster_say_otherwise_is_named(asked, cluster, root):
    site(root, "jobs: 20\nretries: 2\n")
    _, findings = asked()
    assert findings == [("loses", "jobs is said twice: 20 counts, 10 does not", "profiles/slurm/config.yaml:3")]


def test_an_unknown_key_and_retries_of_a_rule_are_found(asked, cluster, root):
    site(root, "job: 20\n")
    _, findings = asked(job("one", retries=2))
    assert ("stops", "Snakemake has no option job", "profiles/slurm/site.yaml:1") in findings
    [(kind, text, place)] = [each for each in findings if "retries" in each[1]]
    assert (kind, place) == ("loses", "workflow/rules/one.smk:1")
    assert "up to 9 times" in text


def test_status_by_sacct_without_accounts_stops_a_run(asked, cluster, root):
    site(root, "slurm-status-command: sacct\n")
    _, findings = asked()
    [(text, place)] = [(text, place) for kind, text, place in findings if kind == "stops"]
    assert place == "profiles/slurm/site.yaml:1"
    assert "keeps no accounts" in text and "wait for ever" in text


def test_array_jobs_without_memory_are_named(asked, cluster, root):
    site(root, "slurm-array-jobs: all\n")
    silent = job("one", resources=[{"runtime": 10}] * 3)
    _, findings = asked(silent)
    assert ("stops", "array jobs without mem_mb get 1 MB: one", "profiles/slurm/site.yaml:1") in findings


def test_a_partition_that_is_not_there_stops_a_run(asked, cluster, root):
    site(root, "default-resources:\n  slurm_extra: x\n  slurm_partition: long\n")
    found, findings = asked()
    assert findings == [("stops", "there is no partition long", "profiles/slurm/site.yaml:1")]
    assert found.findings[0].hint == "there are main"


def test_a_job_that_no_node_can_take_is_told_with_the_attempt_at_which_it_grows_too_large(asked, cluster):
    _, findings = asked(job("one", mem_mb=3000, minutes=10))
    assert findings == [
        (
            "loses",
            "one asks for 9000 MB of memory (mem_mb) at attempt 3; partition main gives 8000: it is refused",
            "workflow/rules/one.smk:1",
        )
    ]
    _, findings = asked(job("one", mem_mb=8001))
    assert [(kind, text[:47]) for kind, text, _ in findings] == [
        ("stops", "one asks for 8001 MB of memory (mem_mb) at atte")
    ]
    cluster(config=CONFIG.replace("= ALL", "= NO"))
    _, findings = asked(job("one", minutes=1500))
    assert findings[0][:2] == (
        "stops",
        "one asks for 1500 minutes (runtime) at attempt 1; partition main gives 1440: it waits for ever",
    )
    assert any("EnforcePartLimits=NO" in text for _, text, _ in findings)


def test_a_group_is_held_against_the_limits_as_a_whole(asked, cluster, root):
    site(root, "cores: 3\ngroups:\n  one: g\ngroup-components:\n  g: 3\n")
    members = [job(f"{number}", rule="one", mem_mb=2700, attempts=3) for number in range(3)]
    _, findings = asked(*members)
    texts = [text for kind, text, _ in findings if kind == "stops"]
    assert (
        "group g of 3 asks for 8100 MB of memory (mem_mb) at attempt 1; partition main gives 8000: it is refused"
        in texts
    )
    assert any("asks for 3 CPUs of one node; those of partition main have 2" in text for text in texts)


def test_an_account_that_is_not_yours_or_that_the_partition_does_not_take(asked, cluster, root):
    accounting = CONFIG.replace("accounting_storage/none", "accounting_storage/slurmdbd")
    cluster(
        config=accounting,
        associations="alpha\nbeta\n",
        partition=PARTITION.replace("AllowAccounts=ALL", "AllowAccounts=beta"),
    )
    site(root, "default-resources:\n  slurm_extra: x\n  slurm_account: gamma\n")
    found, findings = asked()
    assert ("stops", "you have no account gamma", "profiles/slurm/site.yaml:1") in findings
    assert ("stops", "account gamma may not use partition main", "profiles/slurm/site.yaml:1") in findings
    assert {finding.hint for finding in found.findings} == {"you have alpha, beta", "it takes beta"}


def test_without_a_cluster_at_hand_it_is_said_what_was_not_checked(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found, findings = asked()
    assert [kind for kind, _, _ in findings] == ["unchecked"]
    assert "partition, account and limits" in findings[0][1]
    assert found.good  # nothing is wrong with it, as far as can be seen from here
    assert found.forecast.slots == 10


def test_a_hanging_controller_is_a_finding(asked, cluster):
    cluster(first="exec sleep 60")
    began = time.monotonic()
    found, findings = asked()
    assert time.monotonic() - began < 10
    assert [kind for kind, _, _ in findings] == ["stops", "unchecked"]
    assert "does not answer" in findings[0][1] and not found.good


def test_executors_without_shared_files_or_that_read_no_memory(asked, root):
    for name, text in (
        ("kubernetes", "executor: kubernetes\n"),
        ("htcondor", "executor: htcondor\ndefault-resources:\n  htcondor_request_mem_mb: 1000\n"),
    ):
        folder = root / "profiles" / name
        folder.mkdir()
        (folder / "config.yaml").write_text(text, encoding="utf-8")
        (folder / "site.yaml").write_text("jobs: 3\n", encoding="utf-8")
    _, findings = asked(profile="kubernetes")
    assert ("stops", "profiles/kubernetes/config.yaml:1") in [(kind, place) for kind, _, place in findings]
    assert any("share no file system" in text for _, text, _ in findings)
    asks = [{"mem_mb": 1500, "runtime": 10, "htcondor_request_mem_mb": 1000}]
    _, findings = asked(job("one", resources=asks), profile="htcondor")
    [text] = [text for kind, text, _ in findings if kind == "stops"]
    assert text == "one needs 1500 MB at attempt 1; the plugin reads htcondor_request_mem_mb, which asks for 1000 MB"


# --- the real workflow ---------------------------------------------------------------------------------------------


@pytest.mark.workflow
@pytest.mark.slow
def test_the_command_on_the_real_workflow(cluster, tmp_path_factory):
    checkout = copy_of_repository(tmp_path_factory.mktemp("doctor") / "repository", screened=150)
    shutil.rmtree(checkout.folder / "benchmarks/rules", ignore_errors=True)  # of who runs the tests
    (checkout.folder / "profiles/slurm/site.yaml").write_text(
        "default-resources:\n  slurm_partition: main\n", encoding="utf-8"
    )
    cluster(node=NODES.replace("RealMemory=8000", "RealMemory=2000"))
    arguments = ["doctor", "data", "--profile", "slurm", "--args", "-j4 -p", "--root", str(checkout.folder)]
    said = CliRunner().invoke(main, [*arguments, "--json"])
    answer = json.loads(said.stdout)
    assert said.exit_code == 1 and not answer["good"]
    rules = {rule["rule"]: rule for rule in answer["rules"]}
    assert set(rules) == {"simulate_raw", "ingest_site", "clean_cohort", "build_adam"}
    line = rules["build_adam"]["origins"]["mem_mb"]
    file, _, number = line.rpartition(":")
    least = rules["build_adam"]["resources"]["mem_mb"][0]
    assert (checkout.folder / file).read_text().splitlines()[int(number) - 1].strip() == f"mem_mb=grows({least}),"
    assert rules["build_adam"]["resources"]["mem_mb"] == [least, 2 * least, 3 * least]
    assert rules["build_adam"]["resources"]["slurm_partition"] == ["main"] * 3
    assert rules["build_adam"]["origins"]["slurm_partition"] == "profiles/slurm/site.yaml:1"
    settings = {setting["key"]: setting for setting in answer["settings"]}
    assert not any(
        "has no option" in finding["text"] for finding in answer["findings"] if "slurm-" not in finding["text"]
    )
    assert settings["rerun-triggers"]["place"].startswith("profiles/default/config.yaml:")
    assert settings["retries"]["value"] == 2
    assert (settings["jobs"]["value"], settings["jobs"]["origin"]) == ("4", "command line")
    assert any("mem_mb" in finding["text"] and finding["kind"] == "loses" for finding in answer["findings"])
    assert answer["forecast"]["jobs"] == sum(rule["jobs"] for rule in answer["rules"])
    assert answer["forecast"]["at_limit"] == answer["forecast"]["jobs"]  # nothing was ever run here
    printed = CliRunner().invoke(main, arguments).stdout
    for heading in ("Settings", "What jobs ask for", "Cluster", "Findings", "Forecast"):
        assert f"\n{heading}" in printed
