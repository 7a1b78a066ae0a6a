"""No number is typed where a result would stand: each rule, the shipped text, and digits typed at random."""

from __future__ import annotations

import random
import re
import shutil
from pathlib import Path

import pytest
from manuscript_paper import ard
from shipped_paper import MANUSCRIPT, expansion, rules_of, write_tables

from sorafenib_rfa.manuscript import ManuscriptError, expand_manuscript, load_claims
from sorafenib_rfa.manuscript.expand import Expanded
from sorafenib_rfa.manuscript.lint import Rules, Words, unbound_in_claims, unbound_in_print, unbound_numbers
from sorafenib_rfa.manuscript.render import render_manuscript
from sorafenib_rfa.manuscript.source import Sourced
from sorafenib_rfa.manuscript.unbound import load_unbound_numbers, number_word, numbers_in

INDEX = """---
title: A title
abstract: |
  **Results.** The hazard ratio was {{< val rfs.cox.contrast.hr ci >}}. {{< claim direction >}}
bibliography: references.bib
---

## Introduction {#sec-introduction}

Others found 12 of 34 [@feng2014].

{{< include _results.qmd >}}
"""
RESULTS = """## Results {#sec-results}

Of {{< val flow.patients.n >}} patients, see @tbl-baseline and @fig-km.

::: {#tbl-baseline}

{{< table baseline >}}

Values are at month 36.

Baseline characteristics.
:::

![Survival by arm.](figures/km_rfs){#fig-km width=85% fig-alt="Curves."}
"""
CLAIMS = """direction:
  ard: {hr: rfs.cox.contrast.hr}
  when:
    - {if: hr.ci_high < 1, say: "Later, by {{< val rfs.cox.contrast.hr >}}."}
    - otherwise: Nothing
        was shown.
"""
BIB = """@article{feng2014,
  title = {A study}
}
"""
ALLOWED = """free_sections:
  sec-introduction: figures of others
allowed:
  - {pattern: "month {horizon}", where: [manuscript/_results.qmd], reason: horizon of the plan}
"""
TABLE = '| Arm | Patients |\n|:--|--:|\n| All | [1,114]{.val data-ard="synthetic:flow.patients.n"} |\n'
FACTS = {"horizon": ["36"]}


class Paper:
    """A small manuscript that passes, to be spoilt."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "manuscript"
        self.folder.mkdir()
        (root / "results/synthetic/tables").mkdir(parents=True)
        self.files = {
            "manuscript/index.qmd": INDEX,
            "manuscript/_results.qmd": RESULTS,
            "manuscript/claims.yaml": CLAIMS,
            "manuscript/references.bib": BIB,
            "manuscript/unbound_numbers.yaml": ALLOWED,
            "results/synthetic/tables/baseline.md": TABLE,
        }

    def change(self, file: str, old: str, new: str) -> Paper:
        assert old in self.files[file], old
        self.files[file] = self.files[file].replace(old, new, 1)
        return self

    def line(self, file: str, text: str) -> str:
        """Return ``file:line`` of the one line that holds `text`."""
        lines = [i for i, line in enumerate(self.files[file].split("\n"), 1) if text in line]
        assert len(lines) == 1, (text, lines)
        return f"{file}:{lines[0]}"

    def rules(self, **more) -> Rules:
        for name, text in self.files.items():
            (self.root / name).write_text(text, encoding="utf-8")
        unbound = load_unbound_numbers(
            self.folder / "unbound_numbers.yaml", FACTS, shown="manuscript/unbound_numbers.yaml"
        )
        given = {"tables": ["baseline"], "figures": ["km_rfs"], "config": "config/cohorts/synthetic/cohort.yaml"}
        return Rules(unbound, Words(["Stage T2", "0"]), **{**given, **more})

    def expand(self, **more) -> Expanded:
        rules = self.rules(**more)
        return expand_manuscript(
            self.folder / "index.qmd",
            ards={"synthetic": ard("synthetic")},
            claims=load_claims(self.folder / "claims.yaml", shown="manuscript/claims.yaml"),
            tables={"baseline": self.root / "results/synthetic/tables/baseline.md"},
            synthetic={"synthetic": False},
            cohort="synthetic",
            context={"days": "60"},
            rules=rules,
        )

    def faults(self, **more) -> list[tuple[str, str]]:
        with pytest.raises(ManuscriptError) as caught:
            self.expand(**more)
        return [(problem.file or "", problem.message) for problem in caught.value.problems]


@pytest.fixture
def paper(tmp_path):
    return Paper(tmp_path)


UNBOUND = "this number is bound to no result"
UNUSED = "this entry of the white-list allows nothing"
RESULTS_FILE, INDEX_FILE, TABLE_FILE = (
    "manuscript/_results.qmd",
    "manuscript/index.qmd",
    "results/synthetic/tables/baseline.md",
)


def test_the_small_manuscript_passes(paper):
    assert "Nothing was shown" in paper.expand().text


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (RESULTS_FILE, " patients, see", " patients, 7 dead, see"),
        (RESULTS_FILE, " patients, see", " patients, two dead, see"),
        (RESULTS_FILE, " patients, see", " patients, Ninety dead, see"),
        (RESULTS_FILE, " patients, see", " patients, \u0667 dead, see"),  # Arabic-Indic seven
        (RESULTS_FILE, " patients, see", " patients, \u00bd dead, see"),
        (RESULTS_FILE, " patients, see", " patients, % dead, see"),
        (RESULTS_FILE, " patients, see", " patients, `7` dead, see"),
        (RESULTS_FILE, " patients, see", "5 patients, see"),
        (RESULTS_FILE, "month 36", "month 360"),
        (RESULTS_FILE, "month 36", "month 3.36"),
        (RESULTS_FILE, "month 36", "month 36%"),
        (RESULTS_FILE, "month 36", "month 36,5"),
        (RESULTS_FILE, "Baseline characteristics.", "Baseline of 9."),
        (RESULTS_FILE, "Survival by arm.", "Survival at 5 years."),
        (RESULTS_FILE, 'fig-alt="Curves."', 'fig-alt="Curves to month 60."'),
        (RESULTS_FILE, "## Results", "## Results of 3"),
        (INDEX_FILE, "title: A title", "title: A title of 3"),
        (INDEX_FILE, "The hazard ratio was", "The hazard ratio was 0.9, that is"),
        (TABLE_FILE, "| All |", "| All 3 |"),
        (TABLE_FILE, "| Arm |", "| Arm (95% CI) |"),
    ],
)
def test_a_number_typed_where_a_result_stands_is_named_with_file_and_line(paper, file, old, new):
    paper.change(file, old, new)
    found = [fault for fault in paper.faults() if fault[1] != UNUSED]
    assert found == [(paper.line(file, new), UNBOUND)]


def test_all_of_them_are_reported_at_once(paper):
    paper.change(RESULTS_FILE, " patients, see", " patients, 7 dead, see").change(TABLE_FILE, "| All |", "| 8 |")
    paper.change("manuscript/claims.yaml", "Nothing", "Nothing in 9")
    assert [file for file, _ in paper.faults()] == [
        paper.line(RESULTS_FILE, "7 dead"),
        paper.line("manuscript/claims.yaml", "in 9"),
        paper.line(TABLE_FILE, "| 8 |"),
    ]


@pytest.mark.parametrize(("old", "new"), [("Later, by", "Later in 5, by"), ("was shown.", "was shown in 5.")])
def test_a_number_in_a_wording_is_found_also_in_one_that_is_not_said(paper, old, new):
    paper.change("manuscript/claims.yaml", old, new)
    assert paper.faults() == [(paper.line("manuscript/claims.yaml", new), f"claim 'direction': {UNBOUND}")]


def test_numbers_of_free_sections_pass_but_not_in_their_captions(paper):
    paper.change(INDEX_FILE, "Others found 12", "Others found 56 and 12")
    assert "56" in paper.expand().text
    paper.change(INDEX_FILE, "\n{{< include", "\n![Arm 4.](figures/km_rfs){#fig-other}\n\n@fig-other\n\n{{< include")
    assert paper.faults() == [(paper.line(INDEX_FILE, "Arm 4"), UNBOUND)]


def test_words_of_the_configuration_pass_in_generated_tables_only(paper):
    paper.change(TABLE_FILE, "| All |", "| Stage T2 |").change(TABLE_FILE, "| Arm |", "| 0 |")
    assert "Stage T2" in paper.expand().text
    paper.change(RESULTS_FILE, "Baseline characteristics.", "Baseline of Stage T2.")
    assert paper.faults() == [(paper.line(RESULTS_FILE, "of Stage T2"), UNBOUND)]


def test_a_word_of_the_configuration_is_found_however_its_marks_are_escaped():
    words = Words(["hand_foot_grade_3_5"])
    line = "| hand\\_foot\\_grade\\_3\\_5 | Harm |"
    start, end = line.index("3"), line.index("5") + 1
    assert words.hold(line, start, end)
    assert not words.hold(line.replace("3", "4"), start, end)


def test_what_shortcodes_print_passes(paper):
    paper.change(RESULTS_FILE, "patients, see", "patients on day {{< meta days >}}, see")
    assert '[60]{.meta data-meta="days"}' in paper.expand().text


def test_a_binding_cannot_be_typed(paper):
    paper.change(RESULTS_FILE, " patients, see", ' patients, [7]{.val data-ard="synthetic:flow.patients.n"} dead, see')
    assert ("only a shortcode may bind: this is typed by hand") in [message for _, message in paper.faults()]
    assert {file for file, _ in paper.faults()} == {paper.line(RESULTS_FILE, "[7]")}


# --- the white-list --------------------------------------------------------------------------------------------------


def test_an_entry_that_allows_nothing_is_a_fault(paper):
    paper.change(RESULTS_FILE, "Values are at month 36.", "Values.")
    line = paper.line("manuscript/unbound_numbers.yaml", "month {horizon}")
    assert paper.faults() == [(line, UNUSED)]


def test_a_changed_plan_is_noticed(paper, monkeypatch):
    monkeypatch.setitem(FACTS, "horizon", ["24"])
    assert {message for _, message in paper.faults()} == {UNBOUND, UNUSED}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('{pattern: "7 days", where: ["*"]}', "has these keys"),
        ('{pattern: "7 days", where: ["*"], reason: ""}', "must give its reason"),
        ('{pattern: "7 days", where: "*", reason: a good one}', "where must list files"),
        ('{pattern: "{nothing} days", where: ["*"], reason: a good one}', "there is no fact 'nothing'"),
        ('{pattern: "days", where: ["*"], reason: a good one}', "holds no number"),
    ],
)
def test_entries_must_be_whole(paper, entry, said):
    text = paper.files["manuscript/unbound_numbers.yaml"] + f"  - {entry}\n"
    paper.files["manuscript/unbound_numbers.yaml"] = text
    with pytest.raises(ManuscriptError, match=re.escape(said)) as caught:
        paper.rules()
    assert caught.value.problems[0].file == "manuscript/unbound_numbers.yaml:5"


def test_a_free_section_must_exist(paper):
    paper.change("manuscript/unbound_numbers.yaml", "sec-introduction:", "sec-nowhere: was here\n  sec-introduction:")
    line = paper.line("manuscript/unbound_numbers.yaml", "sec-nowhere")
    assert paper.faults() == [(line, "there is no section of this label")]


# --- what nothing uses -----------------------------------------------------------------------------------------------


def test_an_unused_claim(paper):
    paper.files["manuscript/claims.yaml"] += CLAIMS.replace("direction:", "forgotten:")
    line = paper.line("manuscript/claims.yaml", "forgotten:")
    assert paper.faults() == [(line, "no text uses the claim 'forgotten'")]


def test_an_unused_reference_unless_nocite_names_it(paper):
    paper.files["manuscript/references.bib"] += "\n@article{li2021,\n  title = {Another}\n}\n"
    line = paper.line("manuscript/references.bib", "li2021")
    assert paper.faults() == [(line, "no text cites 'li2021'")]
    paper.change(INDEX_FILE, "bibliography:", 'nocite: "@li2021"\nbibliography:')
    paper.expand()
    paper.change(INDEX_FILE, '"@li2021"', '"@*"')
    assert paper.faults() == [
        (paper.line(INDEX_FILE, "@*"), "nocite must name its references"),
        (line, "no text cites 'li2021'"),
    ]


def test_exhibits_that_no_text_shows(paper):
    assert paper.faults(tables=["baseline", "safety"], figures=["km_rfs", "flow"]) == [
        ("config/cohorts/synthetic/cohort.yaml", "tables: no text shows the table 'safety'"),
        ("config/cohorts/synthetic/cohort.yaml", "figures: no text shows the figure 'flow'"),
    ]


@pytest.mark.parametrize(("label", "at"), [("tbl-baseline", "{#tbl-baseline}"), ("fig-km", "{#fig-km")])
def test_a_figure_or_table_that_no_text_refers_to(paper, label, at):
    paper.change(RESULTS_FILE, f"@{label}", "it")
    assert paper.faults() == [(paper.line(RESULTS_FILE, at), f"no text refers to {label}")]


# --- what is printed -------------------------------------------------------------------------------------------------


def test_the_last_net_sees_what_the_formats_print():
    def document(*inlines):
        heading = {"t": "Header", "c": [1, ["sec-results", [], []], [{"t": "Str", "c": "Results"}]]}
        return {"meta": {}, "blocks": [heading, {"t": "Para", "c": list(inlines)}]}

    def word(text):
        return {"t": "Str", "c": text}

    rules = Rules(load_unbound_numbers_of("free_sections: {}\nallowed: []\n"), Words([]))
    bound = {"t": "Span", "c": [["", ["val"], [["data-ard", "a:b"]]], [word("0.9")]]}
    reference = {"t": "Link", "c": [["", ["xref"], []], [word("Figure\u00a03")], ["#fig-km", ""]]}
    citation = {"t": "Cite", "c": [[], [word("[12]")]]}
    assert unbound_in_print(document(word("HR"), bound, reference, citation), rules) == []
    assert unbound_in_print(document(word("HR"), bound, word("5")), rules)[0][0] == "5"
    claim = {"t": "Span", "c": [["", ["claim"], []], [word("by"), {"t": "Space"}, word("7")]]}
    assert unbound_in_print(document(claim), rules)[0][0] == "7"
    assert unbound_in_print(document({"t": "Math", "c": [{"t": "InlineMath"}, "x = 4"]}), rules)[0][0] == "4"


def load_unbound_numbers_of(text):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "unbound_numbers.yaml"
        path.write_text(text)
        return load_unbound_numbers(path, {})


def test_a_number_only_the_renderer_sees_stops_the_build_too(paper, tmp_path):
    paper.change(RESULTS_FILE, "patients, see", "patients \\# &#55; dead, see")  # an entity: its digits are the code
    with pytest.raises(ManuscriptError):
        paper.expand()
    rules = paper.rules()
    text = f"---\ntitle: T\n---\n\n{RESULTS.split('See')[0].split('Of')[0]}\nSome &#55; died.\n"
    (tmp_path / "index.qmd").write_text(text, encoding="utf-8")
    with pytest.raises(ManuscriptError, match="this number is printed, and is bound to no result"):
        render_manuscript(
            tmp_path, {"html": tmp_path / "paper.html"}, engine="embedded", source_date_epoch=0, synthetic=False,
            check=lambda document: unbound_in_print(document, rules),
        )  # fmt: skip


def test_number_words_and_digits():
    assert [number_word(n) for n in (2, 19, 20, 36, 99)] == ["two", "nineteen", "twenty", "thirty-six", "ninety-nine"]
    assert len(numbers_in("One twofold network often weighs tend, tent.")) == 0
    assert len(numbers_in("Two, TEN and thirty-six of \u2167 at 5%")) == 7


# --- the shipped manuscript ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    root = tmp_path_factory.mktemp("shipped")
    shutil.copytree(MANUSCRIPT, root / "manuscript")
    return root, write_tables(root)


def test_the_shipped_manuscript_passes(shipped):
    expanded = expand_manuscript(**expansion(*shipped))
    assert len(expanded.uses) > 300


def test_a_paper_whose_validation_study_was_not_run_says_so_and_passes(tmp_path):
    shutil.copytree(MANUSCRIPT, tmp_path / "manuscript")
    text = expand_manuscript(**expansion(tmp_path, write_tables(tmp_path, not_run=True), not_run=True)).text
    appendix = " ".join(text[text.index("{#sec-app-study}") : text.index("{#sec-app-agreement")].split())
    assert "The study that the configuration declares was not run" in appendix
    assert "Whether the primary analysis is biased is not known." in appendix
    # no result is told: the only values are those that the tables do not have
    assert set(re.findall(r"\[([^\]]*)\]\{\.val", appendix)) == {"not estimable"}
    assert "the validation study was not run\\: the stored result is of another plan" in appendix


TYPED = re.compile(r"\{\{<.*?>\}\}|\[[^\]]*\]\{\.val[^}]*\}", re.DOTALL)
NOT_PRINTED = re.compile(r"\{#[^}]*\}|\{\.[a-z][^}]*\}|\]\([^)]*\)|@[\w-]+|^:::.*$|&nbsp;", re.MULTILINE)
LINTED = (
    "_results.qmd", "_appendix_further.qmd", "_appendix_validation.qmd", "_appendix_agreement.qmd",
    "_appendix_real_cohort.qmd", "_appendix_data_quality.qmd",
)  # fmt: skip


def places(text: str, begin: int = 0) -> list[int]:
    """Return offsets at which a typed character would be printed, or would stand in a shortcode."""
    hidden = {i for match in NOT_PRINTED.finditer(text) for i in range(match.start(), match.end() + 1)}
    hidden |= {i for match in TYPED.finditer(text) for i in range(match.start() + 1, match.end())}
    return [i for i in range(begin, len(text)) if i not in hidden]


def lint_of(file: str, text: str, rules: Rules, before: str = "") -> set[tuple]:
    """Return the faults of one file's text, by line and what was found."""
    lines = [*before.split("\n"), *text.split("\n")] if before else text.split("\n")
    start = before.count("\n") + 1 if before else 0
    source = Sourced(lines, [(file, max(i - start, 0)) for i in range(1, len(lines) + 1)])
    return {
        (fault.file, fault.found)
        for fault in unbound_numbers(source, 0 if before else 1, rules)
        if "label" not in fault.message
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_digit_typed_anywhere_in_the_shipped_results_is_caught(shipped, seed):
    root, tables = shipped
    rules, chance, caught, missed = rules_of(root), random.Random(seed), 0, []
    texts = {f"manuscript/{name}": (root / "manuscript" / name).read_text(encoding="utf-8") for name in LINTED}
    for path in tables.values():
        texts[path.relative_to(root).as_posix()] = path.read_text(encoding="utf-8")
    clean = {name: lint_of(name, text, rules, "## Results {#sec-results}\n") for name, text in texts.items()}
    assert not any(clean.values()), clean
    for _ in range(75):
        file = chance.choice(sorted(texts))
        at = chance.choice(places(texts[file]))
        digit = chance.choice("0123456789\u0663\u00b2\uff15")
        spoilt = texts[file][:at] + digit + texts[file][at:]
        found = lint_of(file, spoilt, rules, "## Results {#sec-results}\n")
        line = f"{file}:{texts[file].count(chr(10), 0, at) + 1}"
        if {where for where, _ in found} == {line}:
            caught += 1
        else:
            missed.append((file, line, digit, spoilt[max(at - 30, 0) : at + 30], found))
    assert missed == []
    assert caught == 75


def test_a_digit_typed_anywhere_in_the_abstract_or_a_claim_is_caught(shipped):
    root, _ = shipped
    rules, chance = rules_of(root), random.Random(7)
    index = (root / "manuscript/index.qmd").read_text(encoding="utf-8")
    # not in the indentation of a line, where YAML itself would refuse it
    begin, end = index.index("**Background"), index.index("keywords:")
    missed = []
    indented = [i for i in places(index) if index[index.rfind("\n", 0, i) + 1 : i].strip()]
    for at in chance.sample([i for i in indented if begin <= i < end - 1], 60):
        spoilt = index[:at] + chance.choice("0123456789") + index[at:]
        lines = spoilt.split("\n")
        body = lines.index("---", 1) + 1
        source = Sourced(lines, [("manuscript/index.qmd", i) for i in range(1, len(lines) + 1)])
        found = {fault.file for fault in unbound_numbers(source, body, rules) if "label" not in fault.message}
        if found != {f"manuscript/index.qmd:{index.count(chr(10), 0, at) + 1}"}:
            missed.append((index[at - 20 : at + 20], found))
    path = root / "manuscript/claims.yaml"
    text = path.read_text(encoding="utf-8")
    said = [match.span(1) for match in re.finditer(r"(?:say|otherwise): >-\n((?: {8}.*\n)+)", text)]
    assert len(said) > 100
    claim_rules = rules_for_claims(rules)
    for _ in range(60):
        low, high = chance.choice(said)
        wording = text[low:high]
        inside = [i for i in places(wording) if wording[wording.rfind("\n", 0, i) + 1 : i].strip()]
        at = low + chance.choice(inside)
        path.write_text(text[:at] + chance.choice("0123456789") + text[at:], encoding="utf-8")
        found = {fault.file for fault in unbound_in_claims(load_claims(path, shown="claims.yaml"), claim_rules)}
        if found != {f"claims.yaml:{text.count(chr(10), 0, at) + 1}"}:
            missed.append((text[at - 20 : at + 20], found))
    path.write_text(text, encoding="utf-8")
    assert missed == []


def rules_for_claims(rules: Rules) -> Rules:
    """Return the rules with the file of claims called as this test calls it."""
    for entry in rules.unbound.entries:
        entry.where = tuple("claims.yaml" if glob == "manuscript/claims.yaml" else glob for glob in entry.where)
        entry.where = tuple("*" if glob == "manuscript/*" else glob for glob in entry.where)
    return rules
