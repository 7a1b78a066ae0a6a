"""A reader presses on things in the audit site; what opens is held against the repository and against `trace`."""

import csv
import filecmp
import hashlib
import io
import json
import re
import shutil
import time
import unicodedata
from urllib.parse import unquote

import pandas as pd
import pytest
from pypdf import PdfReader

from sorafenib_rfa.audit.build import PAGES, VOLATILE_PART, build_audit_site
from sorafenib_rfa.provenance.trace import trace
from sorafenib_rfa.provenance.tree import Tree
from sorafenib_rfa.records.record import seal_of

pytestmark = pytest.mark.workflow

NUMBER = "synthetic:efficacy.rfs_naive.contrast.hr"
COUNT = "synthetic:flow.patients.analysed"
WITHOUT_FIGURES = 1_500_000
NAMES = [name for name, _, _ in PAGES]


@pytest.fixture(scope="module")
def uses(built):
    """What the paper prints where."""
    csv.field_size_limit(1 << 24)
    with (built[0] / "results/synthetic/manuscript/uses.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def first(uses, kind):
    """Return the first claim, table or figure that the paper shows."""
    return next(use["target"] for use in uses if use["kind"] == kind)


def records_shown(panel):
    """Return the records of the jobs that a panel lists, in its order."""
    links = panel.locator(".steps > li > .step > a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    return [unquote(link).removeprefix("#job:") for link in links]


def raw_files_shown(panel):
    """Return path -> first letters of the digest of the raw files that a panel lists."""
    table = panel.locator(".grid", has=panel.page.locator("caption", has_text=re.compile("^Raw files$")))
    rows = table.locator("tbody tr").evaluate_all("all => all.map(one => [...one.cells].map(cell => cell.textContent))")
    return {row[0]: row[1] for row in rows}


# --- from a number to the raw file ----------------------------------------------------------------------------------


def test_press_a_number_and_reach_the_raw_file(look, repository):
    seen = look()
    page = seen.open()
    page.locator(f"#paper a.val[href='#{NUMBER}']").first.click()
    panel = seen.panel(NUMBER)
    printed = page.locator(f"#paper a.val[href='#{NUMBER}']").first.text_content()
    assert panel.locator("#panel-title").text_content() == printed
    panel.locator(".chain-graph a.node.raw").first.click()
    page.wait_for_function("() => document.getElementById('panel-kind').textContent === 'Raw files'")
    panel.locator(".grid tbody a").first.click()
    page.wait_for_function("() => document.getElementById('panel-kind').textContent === 'Raw file'")
    shown = dict(
        panel.locator(".facts > div").evaluate_all(
            "all => all.map(one => [one.children[0].textContent, one.children[1].textContent])"
        )
    )
    raw = repository / shown["Path"]
    assert raw.is_file()
    assert shown["sha256"] == hashlib.sha256(raw.read_bytes()).hexdigest()
    assert shown["Size"]


def test_chains_are_those_of_trace(look, repository, uses):
    tree = Tree(repository)
    seen = look()
    seen.open()
    for target in (
        NUMBER,
        COUNT,
        "hcc_resection:flow.patients.screened",
        f"claim:{first(uses, 'claim')}",
        f"meta:{first(uses, 'meta')}",
        "table:synthetic:efficacy",
        "table:synthetic:study_primary",
        "figure:synthetic:km_rfs",
    ):
        seen.page.evaluate("target => { location.hash = target }", target)
        panel = seen.panel(target)
        chain = trace(repository, target, tree=tree, seals=False)
        assert set(records_shown(panel)) == {job.record for job in chain.jobs}, target
        assert records_shown(panel)[0] == chain.jobs[0].record, target
        expected = {entry["path"]: entry["sha256"][:12] for entry in chain.raw_files}
        assert raw_files_shown(panel) == expected, target


def test_job_shows_parameters_seed_and_code_as_it_ran(look, repository):
    record = "results/synthetic/records/estimate_efficacy/synthetic.json"
    content = json.loads((repository / record).read_text(encoding="utf-8"))
    seen = look()
    page = seen.open(f"#job:{record}")
    panel = seen.panel(f"job:{record}")
    text = panel.locator("#panel-body").inner_text()
    assert str(content["seed"]) in text  # all its digits: a browser's own numbers end at 2 to the 53rd
    assert content["seal"] in text
    assert f"pandas {content['environment']['distributions']['pandas']}" in text
    panel.locator("a", has_text="stats/cox.py").first.click()
    page.wait_for_function("() => document.getElementById('panel-kind').textContent === 'Code as it ran'")
    source = (repository / "src/sorafenib_rfa/stats/cox.py").read_text(encoding="utf-8")
    assert panel.locator("pre.code").text_content() == source


def test_who_is_counted_are_the_members(look, repository):
    members = pd.read_parquet(repository / "results/synthetic/ard/members.parquet")
    wanted = sorted(members.loc[members["ard_id"] == COUNT.partition(":")[2], "USUBJID"])
    seen = look()
    page = seen.open(f"#{COUNT}")
    panel = seen.panel(COUNT)
    panel.locator("summary", has_text=f"Show the {len(wanted)} patients").click()
    shown = panel.locator(".grid", has_text="Patients counted").locator("tbody th").all_text_contents()
    assert shown == wanted
    panel.locator(".grid", has_text="Patients counted").locator("tbody th a").first.click()
    panel = seen.panel(f"patient:{wanted[0]}")
    patients = pd.read_parquet(repository / "results/synthetic/clean/patients.parquet")
    own = patients[patients["USUBJID"] == wanted[0]].iloc[0]
    item = panel.locator("li", has=page.locator("a", has_text=own["src_file"])).first.inner_text()
    assert re.search(rf"\b{own['src_row']}\b", item)


def test_sentence_says_which_condition_held(look, repository, uses):
    name = first(uses, "claim")
    said = next(branch for branch in trace(repository, f"claim:{name}", seals=False).claim.branches if branch.said)
    seen = look()
    page = seen.open()
    page.locator(f"#paper .claim[data-claim='{name}'] a.mark").first.click()
    panel = seen.panel(f"claim:{name}")
    held = panel.locator(".branches .held")
    assert held.count() == 1
    assert f"{said.file}:{said.line}" in held.inner_text()
    assert said.condition in held.inner_text()
    printed = page.locator(f"#paper .claim[data-claim='{name}']").first.text_content().removesuffix("§")
    assert panel.locator("blockquote").text_content() == printed


def test_cell_opens_all_its_numbers(look):
    seen = look()
    page = seen.open()
    cell = page.locator("#paper td", has=page.locator("a.val + a.val")).first
    inside = [unquote(link[1:]) for link in cell.locator("a.val").evaluate_all("all => all.map(one => one.hash)")]
    cell.scroll_into_view_if_needed()
    box = cell.bounding_box()
    page.mouse.click(box["x"] + box["width"] - 2, box["y"] + box["height"] - 2)
    panel = seen.panel(",".join(dict.fromkeys(inside)))
    assert f"Cell of {len(set(inside))} numbers" in panel.inner_text()
    for target in inside:
        assert target in panel.locator("#panel-body").text_content()


def test_figure_opens_the_data_it_drew(look):
    seen = look()
    page = seen.open()
    page.locator("#paper figure[data-figure='synthetic:flow'] img").click()
    panel = seen.panel("figure:synthetic:flow")
    assert "results/synthetic/figures/flow.csv" in panel.inner_text()
    assert panel.locator("#panel-title").text_content().startswith("Figure ")


def test_everything_bound_in_the_paper_opens_a_chain(look):
    seen = look()
    seen.open()
    lost = seen.page.evaluate(
        """async () => {
            const bound = [...document.querySelectorAll('#paper a:is(.val, .meta, .mark, .exhibit)')];
            const targets = new Set(bound.map((one) => one.getAttribute('href')));
            const lost = [];
            for (const target of targets) {
                const view = await Audit.view(decodeURIComponent(target.slice(1)));
                const shown = Audit.add(document.createElement('div'), [view.body]);
                if (view.kind === 'Nothing found' || !shown.querySelector('.steps')) lost.push(target);
            }
            return [targets.size, lost];
        }"""
    )
    assert lost[0] > 1000
    assert lost[1] == []


# --- ways of reading ------------------------------------------------------------------------------------------------


def test_keyboard_alone(look):
    seen = look()
    page = seen.open()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('#paper a.val')"):
            break
    target = unquote(page.evaluate("document.activeElement.hash.slice(1)"))
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    seen.panel(target)
    assert page.evaluate("document.activeElement.id") == "panel-title"
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('panel').contains(document.activeElement)")
    page.keyboard.press("Escape")
    page.wait_for_selector("#panel", state="hidden")
    assert unquote(page.evaluate("document.activeElement.hash.slice(1)")) == target


def test_a_table_is_one_stop_and_arrows_walk_in_it(look):
    seen = look()
    page = seen.open()
    table = page.locator("figure[data-table='synthetic:baseline'] table")
    stops = table.locator("a.val").evaluate_all("all => all.filter(one => one.tabIndex === 0).length")
    assert stops == 1
    table.locator("a.val").first.focus()
    row = "document.activeElement.closest('tr').rowIndex"
    place = "[...document.activeElement.closest('table').querySelectorAll('a.val')].indexOf(document.activeElement)"
    page.keyboard.press("ArrowRight")
    assert page.evaluate(place) == 1
    before = page.evaluate(row)
    page.keyboard.press("ArrowDown")
    assert page.evaluate(row) > before
    page.keyboard.press("ArrowUp")
    assert page.evaluate(row) == before


def test_address_of_a_number_opens_it_where_it_stands(look):
    seen = look()
    page = seen.open(f"#{NUMBER}")
    seen.panel(NUMBER)
    assert page.locator("#paper .current").count() >= 1
    box = page.locator("#paper .current").first.bounding_box()
    assert 0 < box["y"] < 900
    page.locator("#panel-close").click()
    page.wait_for_selector("#panel", state="hidden")
    page.go_back()
    seen.panel(NUMBER)


@pytest.mark.parametrize("width", [400, 1400])
def test_section_of_the_paper_is_not_under_the_head_of_the_page(look, width):
    seen = look(viewport={"width": width, "height": 800})
    page = seen.open("#sec-results")
    head = page.locator("body > header").bounding_box()["height"]
    assert page.locator("#panel").is_hidden()
    assert head <= page.locator("#sec-results").bounding_box()["y"] < 400


def test_a_target_that_is_not_there_is_said(look):
    seen = look()
    seen.open("#claim:no_such_sentence")
    assert "no sentence named no_such_sentence" in seen.panel("claim:no_such_sentence").inner_text()


# rows of a table are alike: the first ones stand for the thousands, which axe would take minutes for
FIRST_ROWS = (
    "document.querySelectorAll('tbody').forEach((body) => [...body.rows].slice(3).forEach((row) => row.remove()))"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_of_accessibility(look, uses, scheme):
    from axe_playwright_python.sync_playwright import Axe

    seen = look(color_scheme=scheme)
    panels = [NUMBER, f"claim:{first(uses, 'claim')}", "table:synthetic:efficacy", "code:src/sorafenib_rfa/arms.py"]
    panels.append("job:results/synthetic/records/clean_cohort/synthetic.json")
    options = {"resultTypes": ["violations"], "preload": False}
    if scheme == "dark":
        options["runOnly"] = ["color-contrast"]  # all that is different
    page = seen.open()
    page.evaluate(FIRST_ROWS)
    faults = []
    for target in [*(f"/{name}" for name in NAMES), *panels]:
        page.evaluate("target => { location.hash = target }", target)
        if target in panels:
            seen.panel(target)
        else:
            page.wait_for_selector(f"body[data-page={target[1:]}]")
        page.evaluate(FIRST_ROWS)
        context = {"include": [["#panel" if target in panels else "body"]]}
        found = Axe().run(page, context=context, options=options).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        faults += [(target, one["id"], one["nodes"][0]["html"]) for one in serious]
    assert faults == []


@pytest.mark.parametrize("name", NAMES)
def test_banner_stands_on_every_page_and_nothing_is_wider_than_a_telephone(look, name):
    seen = look(viewport={"width": 400, "height": 800})
    page = seen.open(f"#/{name}")
    banner = page.locator("body > header .banner")
    assert "Synthetic data" in banner.inner_text()
    page.mouse.wheel(0, 2000)
    assert 0 <= banner.bounding_box()["y"] < 10
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator(f"#page-{name}").is_visible()


def test_panel_on_a_telephone_covers_everything_and_keeps_the_focus(look):
    seen = look(viewport={"width": 400, "height": 800})
    page = seen.open(f"#{NUMBER}")
    panel = seen.panel(NUMBER)
    assert panel.bounding_box()["width"] == 400
    assert panel.get_attribute("aria-modal") == "true"
    assert "synthetic data" in panel.locator(".panel-banner").inner_text()
    assert page.evaluate("document.querySelector('main').inert")
    assert page.evaluate("document.getElementById('panel-scroll').scrollWidth") <= 400
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.getElementById('panel').contains(document.activeElement)")


def test_one_chain_prints(look):
    seen = look()
    page = seen.open(f"#{NUMBER}")
    printed = seen.panel(NUMBER).locator("#panel-title").text_content()
    text = " ".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(page.pdf(format="A4"))).pages)
    words = " ".join(unicodedata.normalize("NFKC", text).split())  # a ligature is one letter of the font
    for wanted in (printed, "estimate_efficacy", "Synthetic data", "Raw files"):
        assert wanted in words
    assert "Key points" not in words  # the paper itself stays out


def test_whole_list_prints(look):
    seen = look()
    page = seen.open("#/agreement")
    rows = page.locator("#page-agreement tbody tr").count()
    text = "".join(sheet.extract_text() for sheet in PdfReader(io.BytesIO(page.pdf(format="A4"))).pages)
    last = page.locator("#page-agreement tbody tr code").nth(-2).text_content()
    assert rows > 900
    assert last in re.sub(r"\s", "", text)


# --- the folder -----------------------------------------------------------------------------------------------------


def test_folder_is_small_and_whole(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files if path.parent.name != "figures") < WITHOUT_FIGURES
    for path in files:
        if path.suffix in {".html", ".css"} or path.parent.name == "assets":
            assert not re.search(
                r"(src|href)=[\"']?https?:|url\(|@import|fetch\(|XMLHttp", path.read_text(encoding="utf-8")
            )


def test_raw_data_are_not_in_it(site, repository):
    from sorafenib_rfa.audit.pack import unpacked

    quarantine = pd.read_parquet(repository / "results/synthetic/clean/quarantine.parquet")
    ledger = unpacked((site / "data/ledger.js").read_bytes())["synthetic"]["quarantine"]
    assert ledger["n"] == len(quarantine)
    assert "value" not in ledger["columns"]


def test_built_twice_only_the_run_differs(site, repository, tmp_path):
    record = repository / "results/synthetic/records/estimate_flow/synthetic.json"
    before = record.read_bytes()
    content = json.loads(before)
    content["run"]["host"] = "another"
    record.write_text(json.dumps(content), encoding="utf-8")
    try:
        build_audit_site(repository, "synthetic", tmp_path / "again")
    finally:
        record.write_bytes(before)
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    assert names == sorted(
        p.relative_to(tmp_path / "again").as_posix() for p in (tmp_path / "again").rglob("*") if p.is_file()
    )
    # a record written by hand no longer is what the run log says: the seals and the first page tell
    _, differ, errors = filecmp.cmpfiles(site, tmp_path / "again", names, shallow=False)
    assert (set(differ) - {"data/seals.js", "index.html"}, errors) == ({f"data/{VOLATILE_PART}.js"}, [])


def test_quick_with_all_numbers_of_the_paper(look):
    seen = look()
    start = time.perf_counter()
    page = seen.open()
    assert time.perf_counter() - start < 5
    assert page.locator("#paper a.val").count() > 1000
    page.evaluate("target => { location.hash = target }", NUMBER)
    seen.panel(NUMBER)  # the data have come
    took = page.evaluate(
        """async (target) => {
            const begun = performance.now();
            location.hash = target;
            while (document.body.dataset.shown !== target) await new Promise(requestAnimationFrame);
            return performance.now() - begun;
        }""",
        COUNT,
    )
    assert took < 1000


# --- what is wrong is shown -----------------------------------------------------------------------------------------


HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
FORMULA = "=cmd|' /C calc'!A0"
TURNED = "left\u202etfel\u2066 \x1b[31mred\x1b[0m"


def test_hostile_text_from_data_stays_text(look, repository, tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(repository, tree, symlinks=True, ignore=shutil.ignore_patterns(".snakemake", "notebooks", "curves"))
    results = tree / "results/synthetic"
    quarantine = pd.read_parquet(results / "clean/quarantine.parquet")
    quarantine.loc[0, ["reason", "subject_id", "column"]] = [f"{HOSTILE} {TURNED}", FORMULA, HOSTILE]
    quarantine.to_parquet(results / "clean/quarantine.parquet")
    ard = pd.read_parquet(results / "ard/ard.parquet")
    ard.loc[ard["ard_id"] == NUMBER.partition(":")[2], "method"] = f"{HOSTILE} {FORMULA} {TURNED}"
    ard.to_parquet(results / "ard/ard.parquet")
    record = results / "records/estimate_efficacy/synthetic.json"
    content = json.loads(record.read_text(encoding="utf-8"))
    content["params"]["planted"] = f"{HOSTILE} {TURNED}"
    content["seal"] = seal_of(content)
    record.write_text(json.dumps(content), encoding="utf-8")
    failed = results / "records/failed/estimate_flow"
    failed.mkdir(parents=True, exist_ok=True)
    error = {"type": "UserError", "message": f"{HOSTILE} {TURNED}", "traceback": HOSTILE}
    (failed / "synthetic.x.json").write_text(
        json.dumps({**content, "status": "failed", "error": error}), encoding="utf-8"
    )
    build_audit_site(tree, "synthetic", tmp_path / "hostile")

    seen = look(tmp_path / "hostile")
    shown = f"{HOSTILE} left\\u202etfel\\u2066 \\u001b[31mred\\u001b[0m"
    page = seen.open(f"#{NUMBER}")
    assert f"{HOSTILE} {FORMULA} left\\u202etfel\\u2066" in seen.panel(NUMBER).locator("#panel-body").text_content()
    page = seen.open("#job:results/synthetic/records/estimate_efficacy/synthetic.json")
    assert shown in page.locator("#panel .parameters").text_content()
    page = seen.open("#/patients")
    assert shown in page.locator("#page-patients").text_content()
    assert FORMULA in page.locator("#page-patients").text_content()
    page = seen.open("#/log")
    assert shown in page.locator("#page-log").text_content()
    assert page.evaluate("window.hacked") is None
    assert page.locator("main img[src=x], #panel img, main script").count() == 0
    # the planted files are not what their jobs left, and the site says so
    assert page.locator("#page-log strong", has_text="broken").count() >= 2
    assert "broken seal" in seen.open().locator(".guide").inner_text()


def test_code_that_moved_on_is_shown_with_the_difference(look, repository, tmp_path):
    source = repository / "src/sorafenib_rfa/arms.py"
    before = source.read_text(encoding="utf-8")
    source.write_text(before + "\n# a remark, made after the jobs had run\n", encoding="utf-8")
    try:
        build_audit_site(repository, "synthetic", tmp_path / "moved")
    finally:
        source.write_text(before, encoding="utf-8")
    seen = look(tmp_path / "moved")
    page = seen.open("#code:src/sorafenib_rfa/arms.py")
    panel = seen.panel("code:src/sorafenib_rfa/arms.py")
    assert "reworded since" in panel.inner_text()
    assert page.locator("#panel .d-in").first.text_content().startswith("+")
    assert "+# a remark, made after the jobs had run" in panel.locator(".listing").first.text_content()
    assert panel.locator(".listing").last.locator("pre.code").text_content() == before
