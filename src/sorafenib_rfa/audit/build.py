"""Build the audit site of a paper: one folder, opened from disk, without server or network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sorafenib_rfa.audit import data
from sorafenib_rfa.audit.pack import columns, packed
from sorafenib_rfa.audit.paper import Paper, rewrite_paper
from sorafenib_rfa.errors import Problem, UserError
from sorafenib_rfa.export.contents import may_be_given_away
from sorafenib_rfa.provenance.trace import trace
from sorafenib_rfa.provenance.tree import Tree
from sorafenib_rfa.records.run_log import read_log, run_log_path
from sorafenib_rfa.records.seals import check_seals

HERE = Path(__file__).parent
SCRIPTS = ("fzstd", "base", "graph", "chain", "pages", "main")
VOLATILE_PART = "run"
"""The one file of the site that differs between faithful builds: times, hosts, the run log."""
PAGES = (
    ("paper", "Paper", ""),
    ("numbers", "Numbers", "Numbers and sentences"),
    ("patients", "Patients", "Patients: who is analysed, who left and why"),
    ("data", "Data", "Data: files and variables"),
    ("jobs", "Jobs and code", "Jobs and the code that ran"),
    ("environment", "Environment", "Packages by job"),
    ("log", "Seals and runs", "Seals, failed jobs, run log"),
    ("agreement", "Agreement with R", "Agreement with R"),
    ("checklists", "Checklists", "Checklists and plan"),
)
CHECKLISTS = (("strobe", "STROBE"), ("target", "TARGET"), ("plan", "Analysis plan"))
"""Files ``results/<cohort>/paperwork/<name>.md`` and their headings."""


def build_audit_site(
    root: Path, cohort: str, destination: Path, *, allow: Callable[[Iterable[str]], None] = lambda paths: None
) -> None:
    """Write the audit site of a cohort's paper.

    Parameters
    ----------
    root : Path
        Repository root with a built paper: records, results, ledgers of the cohort and of those its paper cites.
    cohort : str
        Whose paper.
    destination : Path
        Folder to write; what lies there goes.
    allow : callable
        Told the files that will be read because a record names them or the configuration holds them.

    Raises
    ------
    UserError
        If the paper or its record is not there.
    """
    results = root / "results" / cohort
    page = results / "manuscript" / "paper.html"
    record = f"results/{cohort}/records/render_manuscript/{cohort}.json"
    tree = Tree(root)
    if not page.is_file() or record not in tree.records:
        where = page.relative_to(root).as_posix()
        raise UserError(Problem("there is no paper with its record", file=where, hint="build it first: make paper"))
    allow(entry["path"] for found in tree.records.values() for entry in [*found.inputs, *found.outputs])
    allow(path.relative_to(root).as_posix() for path in (root / "config").rglob("*.yaml"))
    paper = rewrite_paper(page.read_text(encoding="utf-8"))
    uses = pd.read_csv(results / "manuscript" / "uses.csv", dtype={"line": int})
    cohorts = _cohorts(uses, cohort)
    parts, facts = _parts(tree, paper, uses, cohorts, record)
    shutil.rmtree(destination, ignore_errors=True)
    for name, image in paper.images.items():
        _write(destination / name, image)
    for name in SCRIPTS:
        _write(destination / "assets" / f"{name}.js", (HERE / "assets" / f"{name}.js").read_bytes())
    _write(destination / "assets" / "site.css", (HERE / "assets" / "site.css").read_bytes())
    for name, content in parts.items():
        _write(destination / "data" / f"{name}.js", packed(name, content))
    _write(destination / "index.html", index_page(paper.title, facts).encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _cohorts(uses: pd.DataFrame, cohort: str) -> list[str]:
    """Return the cohorts whose results the paper prints, its own first."""
    ids = ";".join(uses["ard_ids"].dropna())
    return list(dict.fromkeys([cohort, *sorted({each.partition(":")[0] for each in ids.split(";") if each})]))


def _parts(
    tree: Tree, paper: Paper, uses: pd.DataFrame, cohorts: list[str], record: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the site's data by part, and what its first page says of them."""
    root, cohort = tree.root, cohorts[0]
    # published studies are neither cleaned nor brought into ADaM
    patients = [name for name in cohorts if (root / "results" / name / "clean").is_dir()]
    notebooks = [
        path for path, found in tree.records.items() if found.rule == "run_notebook" and found.cohort in cohorts
    ]
    records = data.ordered(tree.records, [record, *notebooks])
    code = data.code_part(root, records)
    jobs = data.jobs_part(
        records,
        data.doing(code["text"], records),
        tree.code_now,
    )
    frames = {name: pd.DataFrame(list(tree.ard(name).values())) for name in cohorts}
    named = data.uses_part(uses)
    rows = data.rows_by_id(frames)
    breaches = data.seals_part(check_seals(root), records, cohorts)
    titles = _titles(records, cohorts)
    core = {
        "cohort": cohort,
        "cohorts": titles,
        "paper": record,
        **jobs,
        "uses": named,
        "claims": data.claims_part(_claims(root), _targets(named, "claim"), rows, cohort),
        "claimsFile": CLAIMS,
        "facts": {key: _fact(tree, key) for key in sorted(set(_targets(named, "meta")))},
        "captions": {key: _caption(text) for key, text in sorted(paper.captions.items())},
    }
    parts = {
        "paper": {
            "body": paper.body,
            "contents": paper.contents,
            "exhibits": paper.exhibits,
            "checklists": _checklists(root, cohort),
        },
        "core": core,
        "ard": data.ard_part(frames),
        "members": {name: _members(root, name, frames[name]) for name in cohorts},
        "ledger": {name: _ledger(root / "results" / name / "clean") for name in patients},
        "dictionary": {
            name: columns(pd.read_csv(root / "results" / name / "adam" / "data_dictionary.csv", dtype="string"))
            for name in patients
        },
        "code": code,
        "agreement": columns(pd.read_csv(root / "validation" / "agreement.csv")),
        "seals": breaches,
        VOLATILE_PART: data.run_part(
            records,
            {name: read_log(run_log_path(root, name)) for name in cohorts},
            data.failed_records(root, cohorts),
        ),
    }
    numbers = [one for one in paper.printed if not one.target.startswith(("claim:", "meta:"))]
    facts = {
        "synthetic": [name for name in cohorts if titles[name]["synthetic"]],
        "private": [name for name in cohorts if not titles[name]["open"]],
        "cohort": titles[cohort],
        "numbers": len(numbers),
        "jobs": len(records),
        "files": len(jobs["files"]),
        "broken": sum(breach["broken"] for breach in breaches),
        "moved": sum(not breach["broken"] for breach in breaches),
    }
    return parts, facts


CLAIMS = "manuscript/claims.yaml"


def _claims(root: Path) -> Mapping[str, Any]:
    from sorafenib_rfa.manuscript.claims import load_claims

    return load_claims(root / CLAIMS, CLAIMS)


def _targets(uses: list[list[Any]], kind: str) -> list[str]:
    return [use[3] for use in uses if use[2] == kind]


def _fact(tree: Tree, key: str) -> dict[str, Any]:
    """Return where a printed fact of the configuration or the environment comes from."""
    import dataclasses

    fact = trace(tree.root, f"meta:{key}", tree=tree, seals=False).fact
    return dataclasses.asdict(fact) if fact is not None else {}


def _titles(records: Iterable[Any], cohorts: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return title of each cohort, whether it is simulated and whether anybody may have it, as its jobs were told."""
    records = list(records)
    found = {name: {"title": name, "of": "", "synthetic": False, "open": False} for name in cohorts}
    made_by_job = {entry["path"]: False for record in records for entry in record.inputs}
    made_by_job |= {entry["path"]: True for record in records for entry in record.outputs}
    for record in records:
        config = record.params.get("cohort_config")
        if isinstance(config, dict) and record.cohort in found and "synthetic" in config:
            simulated = bool(config["synthetic"])
            is_open = may_be_given_away(simulated, config.get("licence"), config.get("raw", ""), made_by_job)
            of = "published studies" if "published_effects" in config.get("modules", []) else "real patients"
            found[record.cohort] = {
                "title": config["title"],
                "of": "synthetic data" if simulated else of,
                "synthetic": simulated,
                "open": is_open,
            }
    return found


def _caption(text: str) -> dict[str, str]:
    """Return label and text of a caption."""
    label, dot, rest = text.partition(". ")
    return {"label": label, "text": rest if dot else text}


def _ledger(clean: Path) -> dict[str, Any]:
    attrition, fates, quarantine = (
        pd.read_parquet(clean / f"{name}.parquet") for name in ("attrition", "fates", "quarantine")
    )
    return data.ledger_part(attrition, fates, quarantine)


def _members(root: Path, cohort: str, ard: pd.DataFrame) -> dict[str, Any]:
    """Return who stands behind the counts of a cohort."""
    from sorafenib_rfa.estimates.members import raw_rows

    members = pd.read_parquet(root / "results" / cohort / "ard" / "members.parquet")
    everyone = set(members["USUBJID"].dropna())
    fates = root / "results" / cohort / "clean" / "fates.parquet"
    if fates.is_file():
        everyone |= set(pd.read_parquet(fates, columns=["USUBJID"])["USUBJID"].dropna())
    part = data.members_part(members, raw_rows(root, cohort, sorted(everyone)), ard)
    # what a name stands for: in tables of published studies a study, a statement, a source
    return {**part, "who": "patient" if fates.is_file() else "entry"}


def _checklists(root: Path, cohort: str) -> list[dict[str, str]]:
    """Return heading and HTML of each checklist that the paperwork holds."""
    found = []
    for name, heading in CHECKLISTS:
        path = root / "results" / cohort / "paperwork" / f"{name}.md"
        if path.is_file():
            found.append({"name": name, "heading": heading, "html": _html_of(path.read_text(encoding="utf-8"))})
    return found


def _html_of(markdown: str) -> str:
    """Return Markdown as HTML without any markup that the text itself contains."""
    import pypandoc

    from sorafenib_rfa.audit.paper import rewrite_fragment

    html = pypandoc.convert_text(markdown, "html", format="gfm-raw_html", extra_args=["--wrap=none"])
    return rewrite_fragment(html)


def index_page(title: str, facts: Mapping[str, Any]) -> str:
    """Return the page into which everything is loaded; `facts` is what it says of the paper before that."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("index.html").render(title=title, facts=facts, pages=PAGES, scripts=SCRIPTS)
