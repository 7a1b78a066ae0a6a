"""``sorafenib-rfa doctor``: what would go wrong with a run on a cluster, before anything is submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sorafenib_rfa.cli.terminal import BAD, FAINT, GOOD, NOTE, STRONG, Terminal, counted, question

if TYPE_CHECKING:
    from sorafenib_rfa.cluster.doctor import Diagnosis, RuleAsks
    from sorafenib_rfa.cluster.forecast import Forecast
    from sorafenib_rfa.cluster.settings import Setting

STYLES = {"stops": ("STOPS", BAD), "loses": ("LOSES", NOTE), "unchecked": ("not checked", FAINT)}


@click.command(short_help="What would go wrong with a run on a cluster.")
@click.argument("targets", metavar="[TARGET]...", nargs=-1)
@click.option("--profile", default="default", metavar="NAME", help="A folder of profiles/; default: this machine.")
@click.option("--args", "arguments", default="", metavar="TEXT", help="What ARGS= of make would say.")
@click.option("--seconds", default=8.0, show_default=True, help="Patience with each command of the cluster.")
@question
def command(terminal: Terminal, targets: tuple[str, ...], profile: str, arguments: str, seconds: float) -> int:
    """Look at a run of TARGETs (default: the paper) with a profile; nothing is submitted.

    Prints each setting that counts with where it stands, what is lost between profiles and command line, what the jobs
    ask for at each attempt, whether the cluster takes that, and how long it will last. Ends with code 1 if something
    stops the run or is lost; what could not be checked from here is named and changes no code.

    \b
    Examples:
      sorafenib-rfa doctor --profile slurm
      sorafenib-rfa doctor --profile slurm validation_study --args "--config validation_plan=ten_million"
    """  # noqa: D301 (click's mark for lines that stay as they are)
    from sorafenib_rfa.cluster.doctor import diagnose

    found = diagnose(terminal.root, profile, targets, arguments, seconds=seconds)
    if terminal.as_json:
        terminal.json(found.to_json())
    else:
        _print(terminal, found)
    return 0 if found.good else 1


def _print(terminal: Terminal, found: Diagnosis) -> None:
    what = ", ".join(found.targets) or "paper"
    terminal.line((f"{what} with profile {found.profile}", STRONG), (f"  executor {found.executor}", FAINT))
    terminal.heading("Settings", "what counts, and where it stands")
    shown = [setting for setting in found.settings if setting.value is not None and setting.value is not False]
    terminal.columns([row for setting in shown for row in _setting(setting)])
    if found.rules:
        attempts = len(next(iter(found.rules[0].resources.values()), [0]))
        terminal.heading("What jobs ask for", f"at attempts 1 to {attempts}" if attempts > 1 else "")
        for rule in found.rules:
            _rule(terminal, rule)
    _cluster(terminal, found)
    terminal.heading("Findings")
    for finding in found.findings:
        word, style = STYLES[finding.kind]
        terminal.line((word, style), (f"  {finding.place}" if finding.place else "", FAINT), indent=2)
        terminal.prose(finding.text, indent=4)
        if finding.hint:
            terminal.prose(finding.hint, indent=4, first="-> ", style=FAINT)
    if not found.findings:
        terminal.line(("nothing that would stop it, nothing that is lost", GOOD), indent=2)
    terminal.heading("Forecast")
    if found.forecast is None:
        terminal.line("nothing is to be made", indent=2)
    else:
        _forecast(terminal, found.forecast)


def _setting(setting: Setting) -> list[list[str | tuple[str, str]]]:
    key = setting.key.removeprefix("config:")
    label = f"config {key}" if key != setting.key else key
    lost = "".join(f"  (not {_short(lost.value)} of {lost.place})" for lost in setting.lost)
    place = (f"{setting.place}{lost}", FAINT)
    if not isinstance(setting.value, dict):
        return [[label, _short(setting.value), place]]
    inner = [f"{name}: {_short(value)}" for name, value in setting.value.items()]
    return [[label, inner[0] if inner else "", place], *(["", text, ""] for text in inner[1:])]


def _short(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_short(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else str(value)


def _rule(terminal: Terminal, rule: RuleAsks) -> None:
    """Print what a rule asks for, with the lines at which it says so."""
    times = f" x {rule.jobs}" if rule.jobs > 1 else ""
    asked = [f"{name} {'/'.join(map(str, dict.fromkeys(values)))}" for name, values in rule.resources.items()]
    terminal.line(f"{rule.rule}{times}", indent=2)
    terminal.line(f"{', '.join(asked)}  ", (_places(list(rule.origins.values())), FAINT), indent=6)


def _places(origins: list[str]) -> str:
    """Return places, those of one file together: ``adam.smk:21-23``."""
    lines: dict[str, list[int]] = {}
    others = [origin for origin in dict.fromkeys(origins) if not origin.rpartition(":")[2].isdigit()]
    for file, _, line in (origin.rpartition(":") for origin in origins if origin not in others):
        lines.setdefault(file, []).append(int(line))
    spans = [f"{file}:{min(each)}" + (f"-{max(each)}" if len(set(each)) > 1 else "") for file, each in lines.items()]
    return ", ".join([*spans, *others])


def _cluster(terminal: Terminal, found: Diagnosis) -> None:
    cluster = found.cluster
    if cluster is None:
        return
    terminal.heading("Cluster", f"Slurm {cluster.version}, {cluster.name}")
    for partition in cluster.partitions.values():
        used = " <- these jobs" if partition.name == found.partition else ""
        state = "up" if partition.up else "not up"
        most = (
            f"{partition.max_minutes:g} minutes, {partition.max_mem_mb:g} MB and {partition.max_cpus:g} CPUs of a node"
        )
        terminal.line(
            f"partition {partition.name}: {state}, {counted(partition.cpus, 'CPU')}; a job at most {most}{used}",
            indent=2,
        )


def duration(seconds: float) -> str:
    """Return a time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _hours(hours: float) -> str:
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def _forecast(terminal: Terminal, expected: Forecast) -> None:
    terminal.line(
        (duration(expected.wall_seconds), STRONG),
        f" with {counted(expected.slots, 'slot')}, {_hours(expected.core_hours)} core-hours: "
        f"{counted(expected.jobs, 'job')} in {counted(expected.submissions, 'submission')}",
        indent=2,
    )
    terminal.line(f"no slots make it shorter than {duration(expected.longest_seconds)}", indent=2)
    known = [
        (expected.measured, "measured here (benchmarks/rules)"),
        (expected.by_rule, "as other jobs of their rule"),
        (expected.at_limit, f"without a benchmark, taken at their time limit: {', '.join(expected.at_limit_rules)}"),
        (expected.unknown, "without a benchmark or a limit, not counted"),
    ]
    for count, how in known:
        if count:
            terminal.prose(how, indent=2, first=f"{counted(count, 'job')} ")
    terminal.line(("waiting in the queue behind others is not foreseen", FAINT), indent=2)
