"""A small paper that holds every supported feature, with the ARD, tables and figures it needs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
NAN = float("nan")
CSL = HERE.parents[2] / "manuscript" / "numeric.csl"

ROWS = (
    # ard_id, value, ci_low, ci_high, p_value, unit
    ("flow.patients.n", 1114, NAN, NAN, NAN, "count"),
    ("rfs.cox.contrast.hr", 0.9, 0.72, 1.12, 0.0321, "ratio"),
    ("ttr.cox.contrast.hr", NAN, NAN, NAN, NAN, "ratio"),
    ("rfs.km.sorafenib.median", 23.46, 20.01, float("inf"), NAN, "months"),
    ("safety.diarrhoea.sorafenib.percent", 41.27, 35.2, 47.9, NAN, "percent"),
    ("rmst.contrast.difference", -1.04, -2.0, 0.04, 0.0004, "months"),
)


def ard(cohort: str, rows: tuple = ROWS) -> pd.DataFrame:
    """Return an ARD with all contract columns."""
    return pd.DataFrame(
        [
            {
                "ard_id": identifier,
                "cohort": cohort,
                "analysis_id": identifier.split(".")[0],
                "estimand_id": "",
                "population": "analysed",
                "group": "overall",
                "variable": "",
                "stat_name": identifier.split(".")[-1],
                "value": value,
                "ci_low": low,
                "ci_high": high,
                "p_value": p,
                "unit": unit,
                "method": "fixture",
                "engine": "fixture",
                "record": "records/fixture.json",
            }
            for identifier, value, low, high, p, unit in rows
        ]
    )


def write_figure(folder: Path, name: str, words: str) -> None:
    """Write a small SVG and PNG of the same drawing."""
    from PIL import Image, ImageDraw

    folder.mkdir(parents=True, exist_ok=True)
    curve = " ".join(f"{60 + 5 * t:.0f},{40 + 200 * (1 - 0.97**t):.1f}" for t in range(61))
    (folder / f"{name}.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="432" height="288" viewBox="0 0 432 288">'
        '<rect width="432" height="288" fill="white"/>'
        '<path d="M60 30V250H400" fill="none" stroke="black"/>'
        f'<polyline points="{curve}" fill="none" stroke="#0b5fa5" stroke-width="2"/>'
        f'<text x="200" y="275" font-size="12">{words}</text></svg>\n',
        encoding="utf-8",
    )
    image = Image.new("RGB", (864, 576), "white")
    draw = ImageDraw.Draw(image)
    draw.line([(120, 60), (120, 500), (800, 500)], fill="black", width=2)
    points = [tuple(2 * float(number) for number in pair.split(",")) for pair in curve.split()]
    draw.line(points, fill="#0b5fa5", width=4)
    draw.text((400, 540), words, fill="black")
    image.save(folder / f"{name}.png", dpi=(144, 144))


def tables(folder: Path) -> dict[str, Path]:
    """Write the table files and return them by name."""
    folder.mkdir(parents=True, exist_ok=True)
    baseline = [
        "| Characteristic | RFA + sorafenib | RFA alone | SMD |",
        "|:---------------|:---------------:|:---------:|----:|",
        '| Patients | [512]{.val data-ard="synthetic:flow.patients.n"} | [602]{.val} | |',
        "| Age, years | 61.2 (54.0 to 68.9) | 60.8 (53.1 to 69.0) | 0.03 |",
        "| Largest tumour, cm | 2.9 (2.1 to 3.6) | 2.4 (1.8 to 3.1) | 0.41 |",
        "| a_very_long_identifier_without_any_space_that_would_overflow_a_narrow_column | 1 | 2 | 0.10 |",
    ]
    names = (
        "RFA + sorafenib, any grade",
        "RFA + sorafenib, grade 3 to 4",
        "RFA alone, any grade",
        "RFA alone, grade 3",
    )
    wide = [
        "| Event | " + " | ".join(names) + " | Risk difference (95% CI), percentage points | Note |",
        "|:--|" + "--:|" * 5 + ":--|",
        *(
            f"| {event} | 41.3% | 8.{i}% | 9.9% | 1.{i}% | {i + 3}.4 (1.2 to 5.6) | Palmoplantar and similar terms |"
            for i, event in enumerate(("Diarrhoea", "Palmar-plantar erythrodysaesthesia", "Hypertension", "Fatigue"))
        ),
    ]
    long = ["| Row | Estimate (95% CI) | Remark |", "|:--|--:|:--|"]
    long += [f"| Specification {i} | 0.{i % 90 + 10} (0.05 to 1.95) | remark {i} |" for i in range(1, 91)]
    found = {}
    for name, lines in (("baseline", baseline), ("wide", wide), ("long", long)):
        found[name] = folder / f"{name}.md"
        found[name].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found


def make_paper(root: Path) -> dict:
    """Lay the paper out under `root` and return the arguments of ``expand_manuscript``."""
    shutil.copytree(HERE / "manuscript", root / "manuscript", dirs_exist_ok=True)
    from sorafenib_rfa.manuscript import load_claims

    return {
        "source": root / "manuscript" / "index.qmd",
        "ards": {"synthetic": ard("synthetic"), "colon_adjuvant": ard("colon_adjuvant")},
        "claims": load_claims(root / "manuscript" / "claims.yaml", shown="manuscript/claims.yaml"),
        "tables": tables(root / "tables"),
        "synthetic": {"synthetic": True, "colon_adjuvant": False},
        "cohort": "synthetic",
        "context": {"cohort-label": "a synthetic cohort", "software": "pandas 2.3.3 & friends <here>"},
    }


def lay_out(expanded, root: Path, folder: Path) -> Path:
    """Write the expanded paper with its figures and bibliography, as the pipeline does."""
    expanded.write(folder)
    for name in ("km_rfs", "age", "size"):
        write_figure(folder / "figures", name, name)
    write_figure(folder / "figures" / "colon_adjuvant", "km_rfs", "colon")
    shutil.copy(root / "manuscript" / "references.bib", folder)
    shutil.copy(CSL, folder)
    return folder
