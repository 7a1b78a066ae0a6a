"""The command line: quick to start; data never reach the terminal as markup or control characters."""

import ast
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from sorafenib_rfa.cli import COMMANDS, main
from sorafenib_rfa.cli.terminal import Terminal, counted, plain, size, to_json
from sorafenib_rfa.cli.trace import _no_formula

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "\x1b[31mred\x1b[0m [bold]loud[/bold] \u202eevil\u202c :smile: \x07 \x9b2J <script>alert(1)</script>"


def printed(width=80, *, terminal=False):
    stream = io.StringIO()
    console = Console(
        file=stream, width=width, markup=False, highlight=False, emoji=False, force_terminal=terminal, no_color=True
    )
    return stream, Terminal(ROOT, False, console)


def test_help_names_every_command_and_starts_at_once():
    def start():
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from sorafenib_rfa.cli import main; main(['--help'])"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        return time.perf_counter() - begun, done.stdout

    start()  # bytecode is written
    seconds, said = min(start() for _ in range(3))
    assert all(f"  {name} " in said for name in COMMANDS)
    assert seconds < 0.5


def test_help_imports_no_library_but_click():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys\nfrom sorafenib_rfa.cli import main\n"
            "try: main(['--help'])\nexcept SystemExit: print('|'.join(sorted(sys.modules)))",
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split("|"))
    assert loaded.isdisjoint({"rich", "pandas", "pyarrow", "yaml", "pydantic", "snakemake"})


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_json_and_root(name):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert "--json" in result.output
    assert "--root" in result.output


def test_a_misspelt_command_is_guessed():
    result = CliRunner().invoke(main, ["tarce", "x"])
    assert result.exit_code == 2
    assert "did you mean 'trace'" in result.output


@pytest.mark.parametrize("as_json", [False, True])
def test_outside_a_repository_a_person_is_told_so(tmp_path, as_json):
    result = CliRunner().invoke(main, ["status", "--root", str(tmp_path), *(["--json"] if as_json else [])])
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    if as_json:
        assert json.loads(result.stdout)["problems"][0]["hint"] == "go there, or name it with --root"
    else:
        assert "a folder with Snakefile and config/config.yaml" in result.output


def test_nothing_built_is_said_and_is_no_error_of_status(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("cohort: synthetic\n")
    (tmp_path / "Snakefile").write_text("")
    status = CliRunner().invoke(main, ["status", "--no-plan", "--root", str(tmp_path)])
    assert status.exit_code == 0
    assert "nothing is built here" in status.output
    trace = CliRunner().invoke(main, ["trace", "flow.patients.analysed", "--root", str(tmp_path)])
    assert trace.exit_code == 2
    assert "make paper" in trace.output


def test_hostile_text_stays_text():
    stream, terminal = printed()
    terminal.line(HOSTILE)
    terminal.prose(HOSTILE, first="note: ")
    terminal.columns([(HOSTILE, HOSTILE)])
    terminal.heading(HOSTILE, HOSTILE)
    terminal.code(HOSTILE, "python")
    said = stream.getvalue()
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "\\u001b[31mred" in said
    assert "[bold]loud[/bold]" in said
    assert ":smile:" in said
    assert "<script>alert(1)</script>" in said


def test_json_keeps_hostile_text_and_escapes_it():
    text = to_json({"a": HOSTILE, "nan": float("nan"), "inf": float("inf"), HOSTILE: [1, None, True]})
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\x9b" not in text
    again = json.loads(text)
    assert again["a"] == HOSTILE
    assert again["nan"] is None
    assert again["inf"] == "Infinity"
    assert again[HOSTILE] == [1, None, True]


def test_a_cell_of_the_csv_is_never_a_formula():
    assert [_no_formula(cell) for cell in ("=1+1", "+1", "-1", "@sum", "P-001", "")] == [
        "'=1+1",
        "'+1",
        "'-1",
        "'@sum",
        "P-001",
        "",
    ]


def test_a_newline_in_data_cannot_fake_a_line():
    stream, terminal = printed()
    terminal.line("value 1\nSeals kept")
    assert stream.getvalue() == "value 1\\u000aSeals kept\n"


def test_long_paths_stay_in_one_piece():
    path = "results/synthetic/records/" + "a_rather_long_name_of_a_rule/" * 3 + "synthetic.json"
    for on_terminal in (False, True):
        stream, terminal = printed(60, terminal=on_terminal)
        terminal.columns([("record", path), ("x", "short")])
        terminal.pairs([("record", path)])
        lines = stream.getvalue().splitlines()
        assert sum(line.strip().endswith(path) for line in lines) == 2


def test_text_is_wrapped_to_the_terminal_also_where_characters_are_wide():
    stream, terminal = printed(40)
    terminal.prose("recurrence or death " * 8, indent=2, first="method  ")
    terminal.prose("患者.csv " * 20, indent=2)
    from rich.cells import cell_len

    assert all(cell_len(line) <= 40 for line in stream.getvalue().splitlines())


def test_columns_align_where_characters_are_wide():
    stream, terminal = printed()
    terminal.columns([("患者", "1"), ("abcd", "2")])
    assert stream.getvalue().splitlines() == ["  患者  1", "  abcd  2"]


def test_counts_and_sizes_read_well():
    assert counted(1, "job") == "1 job"
    assert counted(1234, "row") == "1,234 rows"
    assert [size(n) for n in (12, 4_000, 1_250_000, 60_000_000)] == ["12 B", "4 kB", "1.2 MB", "60 MB"]
    assert plain("a\u2066b") == "a\\u2066b"


def test_every_command_module_is_imported_late():
    tree = ast.parse((ROOT / "src/sorafenib_rfa/cli/__init__.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"importlib", "click"}
