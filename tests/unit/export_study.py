"""A small study with real records, for tests of exports: five jobs of two cohorts, one failed job, one paper.

The repository's own code and configuration, a few results in place of all. Records, code store and run log are written
by the functions that jobs use.
"""

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd

from sorafenib_rfa.records import run_log
from sorafenib_rfa.records.code_identity import CodeIdentity, combine
from sorafenib_rfa.records.code_store import keep_code
from sorafenib_rfa.records.digests import describe_files
from sorafenib_rfa.records.job import snakemake_script
from sorafenib_rfa.records.record import FORMAT, seal_of

ROOT = Path(__file__).resolve().parents[2]
SYNTHETIC, REAL = "synthetic", "hcc_resection"
PAPER = f"results/{SYNTHETIC}/manuscript/paper.html"
LEFT_OUT = shutil.ignore_patterns("__pycache__", ".pytest_cache", ".ruff_cache", "*.egg-info")
HTML = """<html><body><p>Of <span class="val" data-ard="synthetic:flow.patients.screened">12</span> patients</p>
<figure id="tbl-methods"><figcaption><strong>Table 1.</strong> A table of words.</figcaption></figure>
<figure id="fig-flow" data-figure="synthetic:flow"><figcaption><strong>Figure 1.</strong> Flow | of patients.
Synthetic data.</figcaption></figure>
<figure id="tbl-baseline" data-table="synthetic:baseline"><figcaption><strong>Table 2.</strong> Baseline.</figcaption>
</figure></body></html>
"""
USES = """file,line,kind,target,claim_id,ard_ids
manuscript/index.qmd,31,val,synthetic:flow.patients.screened,,synthetic:flow.patients.screened
manuscript/index.qmd,34,claim,abstract_rfs,,synthetic:flow.patients.analysed;synthetic:flow.patients.screened
manuscript/_results.qmd,27,figure,figures/flow,,
manuscript/_results.qmd,42,table,synthetic:baseline,,synthetic:flow.patients.analysed
"""


class Study:
    """The study and how its records are written."""

    def __init__(self, root):
        self.root = root
        self.identity = CodeIdentity(root)
        self.seals = {}
        self.makers = {}
        self.minute = 0

    def put(self, path, content):
        """Write a file and return its path."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def job(self, rule, cohort, name, inputs, outputs, *, params=None, error=None):
        """Write the record of a job over files that exist; `inputs` and `outputs` are name -> path or paths."""

        def flat(named):
            listed = [[value] if isinstance(value, str) else value for value in named.values()]
            return sorted({path for paths in listed for path in paths})

        def described(named):
            with contextlib.chdir(self.root):  # jobs run in the root of the repository
                return describe_files(flat(named))

        script = snakemake_script(rule)
        files = self.identity.files(script)
        kept = keep_code(self.root / "results" / cohort / "records" / "code", [self.root / each for each in files])
        record = f"results/{cohort}/records/{rule}/{name}.json"
        content = {
            "format": FORMAT,
            "rule": rule,
            "wildcards": {"cohort": cohort},
            "cohort": cohort,
            "status": "failed" if error else "finished",
            "script": script,
            "notebook": None,
            "inputs": [
                entry | {"made_by": maker and {"record": maker, "seal": self.seals[maker]}}
                for entry in described(inputs)
                for maker in [self.makers.get(entry["path"])]
            ],
            "outputs": [] if error else described(outputs),
            "names": {"input": inputs, "output": outputs},
            "params": {"seed": 20140915, "plan": {"landmark_day": 90}} | (params or {}),
            "seed": int(hashlib.sha256(record.encode()).hexdigest()[:8], 16),
            "code": {
                "digest": combine(files.items()),
                "files": {each: {"identity": files[each], "sha256": kept[self.root / each]} for each in files},
            },
            "environment": {"python": "3.11.7", "distributions": {"numpy": "2.4.6", "pandas": "2.3.3"}},
        }
        if error:
            content["error"] = error
            record = f"results/{cohort}/records/failed/{rule}/{name}.20261121T175300.000000.json"
        content["seal"] = seal_of(content)
        self.minute += 1
        content["run"] = {
            "id": "20261121T175200-1",
            "started": f"2026-11-21T17:{self.minute:02d}:00.000+00:00",
            "ended": f"2026-11-21T17:{self.minute:02d}:30.000+00:00",
            "seconds": 30.0,
            "host": "machine",
            "user": "reader",
            "platform": "Linux-6.1-x86_64",
            "peak_memory_mb": 100.0 + self.minute,
            "log": f"logs/{cohort}/{rule}.log",
        }
        text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
        self.put(record, text)
        run_log.append(
            self.root / "results" / cohort / "records" / run_log.NAME,
            event=content["status"],
            record=record,
            record_sha256=hashlib.sha256(text.encode()).hexdigest(),
            seal=content["seal"],
            rule=rule,
        )
        if not error:
            self.seals[record] = content["seal"]
            self.makers.update((path, record) for path in flat(outputs))
        return record


def ard(cohort, rule):
    """Return two rows of an ARD."""
    return pd.DataFrame(
        {
            "ard_id": ["flow.patients.screened", "flow.patients.analysed"],
            "cohort": cohort,
            "value": [12.0, float("nan")],
            "ci_low": float("nan"),
            "ci_high": float("nan"),
            "p_value": float("nan"),
            "unit": "count",
            "method": ["count of patients", "not estimable: <script>no</script>"],
            "record": f"records/{rule}/{cohort}.json",
        }
    )


def make_study(root):
    """Make the study in `root` and return it."""
    for name in ROOT.iterdir():
        if name.is_file():
            shutil.copy2(name, root / name.name)
    for folder in (
        ".ci",
        "config",
        "docs",
        "envs",
        "manuscript",
        "notebooks",
        "profiles",
        "src",
        "validation",
        "workflow",
    ):
        shutil.copytree(ROOT / folder, root / folder, ignore=LEFT_OUT)
    shutil.copytree(ROOT / "data/public", root / "data/public")
    study = Study(root)
    raw = study.put("data/raw/synthetic/cn01/患者.csv", "编号,年龄\n1,60\n")
    study.job(
        "simulate_raw",
        SYNTHETIC,
        SYNTHETIC,
        {"parameters": "config/cohorts/synthetic/simulation.yaml"},
        {"exports": [raw]},
    )
    for cohort, source in ((REAL, "data/public/hcc_resection/hcc_resection.csv"), (SYNTHETIC, raw)):
        adsl = study.put(f"results/{cohort}/adam/adsl.csv", "USUBJID\nA-1\n")
        words = study.put(f"results/{cohort}/adam/data_dictionary.md", "# Variables\n")
        study.job("build_adam", cohort, cohort, {"tables": [source]}, {"datasets": [adsl], "dictionary": words})
        study.put(f"results/{cohort}/ard/ard.csv", "ard_id,value\nflow.patients.screened,12\n")
        ard(cohort, "collect_ard").to_parquet(root / f"results/{cohort}/ard/ard.parquet")
        both = [f"results/{cohort}/ard/ard.{kind}" for kind in ("csv", "parquet")]
        study.job("collect_ard", cohort, cohort, {"parts": [adsl]}, {"ard": both})
    rows = f"results/{SYNTHETIC}/ard/ard.parquet"
    images = [study.put(f"results/{SYNTHETIC}/figures/flow.{kind}", f"<{kind}>") for kind in ("svg", "pdf", "png")]
    drawn = study.put(f"results/{SYNTHETIC}/figures/flow.csv", "step,n\n1,12\n")
    study.job("draw_figures_of_synthetic", SYNTHETIC, SYNTHETIC, {"ard": rows}, {"images": images, "drawn": drawn})
    table = [study.put(f"results/{SYNTHETIC}/tables/baseline.{kind}", "| a |\n") for kind in ("md", "csv")]
    study.job("make_tables_of_synthetic", SYNTHETIC, SYNTHETIC, {"ard": rows}, {"markdown": table[0], "data": table[1]})
    study.job(
        "make_tables_of_synthetic",
        SYNTHETIC,
        f"{SYNTHETIC}.again",
        {"ard": rows},
        {},
        error={"type": "KeyError", "message": "'ALBI' <b>", "traceback": "Traceback ..."},
    )
    papers = [study.put(PAPER.replace("html", kind), HTML) for kind in ("html", "pdf", "docx")]
    uses = study.put(f"results/{SYNTHETIC}/manuscript/uses.csv", USES)
    study.put(f"results/{SYNTHETIC}/manuscript/source/index.qmd", "# Paper\n")
    study.put(f"results/{SYNTHETIC}/manuscript/source/figures/flow.svg", "<svg>")
    study.job(
        "render_manuscript",
        SYNTHETIC,
        SYNTHETIC,
        {
            "sources": ["manuscript/index.qmd"],
            "ard": [rows, f"results/{REAL}/ard/ard.parquet"],
            "tables": table,
            "figures": images,
        },
        {"papers": papers, "uses": uses, "source": f"results/{SYNTHETIC}/manuscript/source"},
    )
    study.put(f"results/{SYNTHETIC}/figures/old.svg", "nobody made this")
    study.put("data/private/notes.csv", "name\nsecret\n")
    study.put("config/cohorts/hospital/cohort.yaml", "title: A hospital that nobody shall know\nsynthetic: false\n")
    return study
