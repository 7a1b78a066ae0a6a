"""Notebooks: parameters are checked first, execution is isolated, copies are byte-stable, failures say where."""

from __future__ import annotations

import ast
import base64
import json
import re
import sys
from pathlib import Path

import nbformat
import psutil
import pytest
import yaml
from exhibit_cohorts import ROOT, Exhibits, assigned_arms, with_arms, without_arms

from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.notebooks import runner
from sorafenib_rfa.notebooks.normalise import normalise
from sorafenib_rfa.notebooks.parameters import check_parameters, declared_parameters
from sorafenib_rfa.notebooks.runner import NotebookError, NotebookJob, code_cells, run_notebooks, to_html

PARAMETERS = 'cohort: str = "synthetic"\nresults_dir: str = ...\nmonths: int = 36\nshare: float = 0.5'
STORED = sorted((ROOT / "notebooks").glob("*.ipynb"))


def write_notebook(path: Path, *cells: str, parameters: str | None = PARAMETERS) -> Path:
    """Write a notebook of code cells; the first, where given, is tagged ``parameters``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.v4.new_notebook(metadata={"language_info": {"name": "python"}})
    if parameters is not None:
        notebook.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    notebook.cells += [nbformat.v4.new_code_cell(cell) for cell in cells]
    nbformat.write(notebook, path)
    return path


def job(source: Path, out: Path = Path("out"), synthetic: bool = False, **parameters) -> NotebookJob:
    stem = source.stem
    given = {"results_dir": "results/x"} | parameters
    return NotebookJob(
        source, out / f"{stem}.ipynb", out / f"{stem}.html", given, synthetic, out / "log" / f"{stem}.ipynb"
    )


def outputs(path: Path) -> str:
    """Return all text that the cells of an executed notebook put out."""
    notebook = nbformat.read(path, as_version=4)
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") or output.get("data", {}).get("text/plain", "") for output in found)


# --- parameters ---------------------------------------------------------------------------------------------------


def test_wrong_parameters_of_all_notebooks_are_told_before_any_kernel_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "_kernel_manager", lambda folder: pytest.fail("a kernel was about to start"))
    one = write_notebook(tmp_path / "one.ipynb", "1")
    two = write_notebook(tmp_path / "two.ipynb", "2")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    jobs = [
        NotebookJob(one, tmp_path / "a", tmp_path / "b", {"chort": "x", "results_dir": "r"}, True, tmp_path / "c"),
        NotebookJob(two, tmp_path / "a", tmp_path / "b", {"months": "36"}, True, tmp_path / "c"),
    ]
    with pytest.raises(ConfigError) as caught:
        run_notebooks(jobs)
    said = str(caught.value)
    assert "3 problems" in said
    assert f"{one}: the notebook has no such parameter" in said
    assert "did you mean 'cohort'?" in said
    assert f"{two}: the parameter 'months' has a value of the wrong type" in said
    assert re.search(r"found:\s+'36' \(str\)\n\s+expected: int", said)
    assert "'results_dir' must be given" in said
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("str", ["", "x"], [1, None, True]),
        ("int", [0, -3], [1.5, "1", True]),
        ("float", [0, 1.5], ["1", True]),
        ("bool", [True], [1, "true"]),
        ("list[str]", [[], ["a"]], ["a", [1], ("a",)]),
        ("str | None", ["a", None], [1]),
    ],
)
def test_values_are_held_to_the_declared_type(tmp_path, annotation, good, bad):
    path = write_notebook(tmp_path / "n.ipynb", parameters=f"x: {annotation} = ...")
    for value in good:
        assert check_parameters(path, {"x": value}) == {"x": value}
    for value in bad:
        with pytest.raises(ConfigError, match="wrong type"):
            check_parameters(path, {"x": value})


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "a parameter is an annotated assignment"),
        ("import os", "a parameter is an annotated assignment"),
        ("x: int = 'a'", "does not fit its type"),
        ("x: int = 1\nx: int = 2", "declared twice"),
        ("x: Path = ...", "not one that can be checked"),
        ("x: str = input()", "is not a literal"),
        ("x: int =", "is not Python"),
    ],
)
def test_a_parameters_cell_that_cannot_be_checked_is_an_error_that_names_the_line(tmp_path, source, message):
    path = write_notebook(tmp_path / "n.ipynb", parameters=source)
    with pytest.raises(ConfigError, match=message) as caught:
        declared_parameters(path)
    assert f"{path}, cell 1, row {source.count(chr(10)) + 1}" in str(caught.value)


def test_a_notebook_without_a_parameters_cell_is_refused(tmp_path):
    path = write_notebook(tmp_path / "n.ipynb", "1", parameters=None)
    with pytest.raises(ConfigError, match="exactly one code cell tagged 'parameters'"):
        check_parameters(path, {})


def test_a_missing_notebook_is_told_with_the_closest_name(tmp_path):
    write_notebook(tmp_path / "efficacy.ipynb", "1")
    with pytest.raises(ConfigError, match=r"did you mean 'efficacy'\?"):
        check_parameters(tmp_path / "eficacy.ipynb", {})


# --- execution ----------------------------------------------------------------------------------------------------

UNSTABLE = """
import os, sys, warnings
print("results in", os.path.abspath(results_dir), "python", sys.executable)
print("months", months)
sys.stderr.write("one ")
sys.stderr.flush()
sys.stderr.write("two")
warnings.warn("careful")
object()
"""
PICTURE = """
import base64, io, time
from IPython.display import Image, display
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo
note = PngInfo()
note.add_text("when", str(time.time_ns()))
file = io.BytesIO()
Picture.new("RGB", (4, 3), (200, 30, 30)).save(file, "png", pnginfo=note)
display(Image(data=file.getvalue()))
"""


def test_two_runs_in_different_folders_write_the_same_bytes(tmp_path, monkeypatch):
    source = write_notebook(tmp_path / "stored" / "story.ipynb", UNSTABLE, PICTURE)
    for name in ("one", "another"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        run_notebooks([job(source, synthetic=True, months=24)])
    for kind in ("ipynb", "html"):
        one, two = ((tmp_path / name / "out" / f"story.{kind}").read_bytes() for name in ("one", "another"))
        assert one == two
        assert str(tmp_path).encode() not in one
        assert str(Path(sys.prefix)).encode() not in one
    executed = nbformat.read(tmp_path / "one" / "out" / "story.ipynb", as_version=4)
    nbformat.validate(executed)
    assert "months 24" in outputs(tmp_path / "one" / "out" / "story.ipynb")
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))
    streams = [
        output for cell in executed.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert streams[0]["text"].startswith("one two")
    image = next(
        o["data"]["image/png"] for c in executed.cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})
    )
    assert b"tEXt" not in base64.b64decode(image)
    from io import BytesIO

    from PIL import Image

    assert Image.open(BytesIO(base64.b64decode(image))).getpixel((1, 1)) == (200, 30, 30)


def test_the_kernel_is_this_interpreter_whatever_a_user_has_installed(tmp_path, monkeypatch):
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('startup of the user')\nmonths = 99\n")
    (tmp_path / "start.py").write_text("print('PYTHONSTARTUP of the user')\n")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(tmp_path / "start.py"))
    monkeypatch.chdir(tmp_path)
    tell = "import sys, os, IPython\nprint([sys.executable == os.environ['EXPECTED'], 'months' in dir()])"
    monkeypatch.setenv("EXPECTED", sys.executable)
    run_notebooks([job(write_notebook(tmp_path / "n.ipynb", tell))])
    assert outputs(tmp_path / "out" / "n.ipynb") == "[True, True]\n"
    assert not (tmp_path / "ipython" / "profile_default" / "history.sqlite").exists()


def test_a_failing_cell_is_named_kept_as_far_as_it_ran_and_does_not_stop_the_others(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad = write_notebook(tmp_path / "bad.ipynb", "print('so far')", "# why\n{}['recurrence']", "print('never')")
    good = write_notebook(tmp_path / "good.ipynb", "print('fine')")
    dead = write_notebook(tmp_path / "dead.ipynb", "import os\nos._exit(3)")
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(NotebookError) as caught:
        run_notebooks([job(bad), job(dead), job(good)])
    said = str(caught.value)
    assert f"{bad}, cell 3 (# why): a cell failed\n" in said
    assert "KeyError: 'recurrence'" in said
    assert f"{dead}: the kernel died" in said
    assert "out/log/bad.ipynb" in said
    assert outputs(tmp_path / "out" / "log" / "bad.ipynb").startswith("so far\n")
    assert not (tmp_path / "out" / "bad.ipynb").exists()
    assert not (tmp_path / "out" / "bad.html").exists()
    assert "fine" in outputs(tmp_path / "out" / "good.ipynb")
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


def test_what_a_kernel_imported_is_known_however_long_it_takes_to_end(tmp_path, monkeypatch):
    """On a busy machine a kernel takes longer to end than Jupyter waits; the record must not depend on it."""
    monkeypatch.chdir(tmp_path)
    slow = write_notebook(tmp_path / "slow.ipynb", "import atexit, time, rich\natexit.register(time.sleep, 4)")
    found = run_notebooks([job(slow)])
    assert {"ipykernel", "rich"} <= set(found.distributions)
    # one that is gone before it has said it is an error, not a record that lacks it
    gone = write_notebook(tmp_path / "gone.ipynb", "import atexit, os, rich\natexit.register(os._exit, 0)")
    with pytest.raises(NotebookError, match="ended before it had said what it imported"):
        run_notebooks([job(gone)])


def test_a_cell_that_hangs_is_stopped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = write_notebook(tmp_path / "slow.ipynb", "import time\ntime.sleep(60)")
    with pytest.raises(NotebookError, match="a cell did not end"):
        run_notebooks([job(source)], cell_timeout_s=1)


# --- pages --------------------------------------------------------------------------------------------------------


def page_of(cells: list[dict], synthetic: bool) -> str:
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return to_html(normalise(notebook, synthetic=synthetic, folder=Path.cwd()), name="n", synthetic=synthetic)


MARKDOWN = {"cell_type": "markdown", "metadata": {}, "source": "# A <title>\n\nWith $x^2$ and *prose*."}


def test_page_loads_nothing_from_elsewhere():
    code = {
        "cell_type": "code",
        "metadata": {},
        "source": "x",
        "execution_count": 1,
        "outputs": [{"output_type": "stream", "name": "stdout", "text": "done <b>"}],
    }
    page = page_of([MARKDOWN, code], synthetic=False)
    assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
    assert "<script" not in page
    assert "url(" not in page
    assert "<title>A &lt;title&gt;</title>" in page
    assert "done &lt;b&gt;" in page


def test_page_and_copy_say_synthetic_only_when_they_are():
    assert page_of([MARKDOWN], synthetic=True).count("Synthetic data") >= 2
    assert "ynthetic" not in page_of([MARKDOWN], synthetic=False).replace(".synthetic", "")
    copy = normalise({"cells": [MARKDOWN]}, synthetic=True, folder=Path.cwd())
    assert "Synthetic data" in copy["cells"][0]["source"]


def test_images_and_words_that_look_like_paths_survive_normalising(tmp_path):
    image = base64.b64encode(f"0x1234567890abcdef {Path.home()}/ ipykernel_1/2.py".encode() * 50).decode()
    text = f'<img src="data:image/png;base64,{image}"> at {tmp_path}/x, {tmp_path}more, <object at 0x7f3a2b1c4d5e>'
    cell = {
        "cell_type": "code", "metadata": {}, "source": "", "execution_count": 1,
        "outputs": [{"output_type": "display_data", "metadata": {}, "data": {"text/html": text}}],
    }  # fmt: skip
    made = normalise({"cells": [cell]}, synthetic=False, folder=tmp_path)["cells"][0]["outputs"][0]["data"]["text/html"]
    assert image in made
    assert f"at ./x, {tmp_path}more, <object at 0x…>" in made


# --- the stored notebooks -----------------------------------------------------------------------------------------


def test_there_is_a_notebook_for_each_story_a_cohort_lists():
    cohorts = [yaml.safe_load(path.read_text()) for path in (ROOT / "config/cohorts").glob("*/cohort.yaml")]
    assert {path.stem for path in STORED} == {name for one in cohorts for name in one["notebooks"]}


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_notebooks_are_clean_short_and_hold_no_logic(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert len(notebook.cells) < 15
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.execution_count is None
            assert cell.outputs == []
    prose = sum(len(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
    assert prose > 800, "a notebook tells a story"
    banned = (
        ast.For,
        ast.While,
        ast.If,
        ast.FunctionDef,
        ast.Lambda,
        ast.BinOp,
        ast.Compare,
        ast.ListComp,
        ast.DictComp,
    )
    found = [node for source in code_cells(path) for node in ast.walk(ast.parse(source)) if isinstance(node, banned)]
    assert not found, [ast.unparse(node) for node in found]
    assert list(declared_parameters(path)) == ["cohort", "results_dir"]


def _write_results(data: Exhibits, folder: Path) -> None:
    from sorafenib_rfa.exhibits.draw import draw_figure, save_figure
    from sorafenib_rfa.exhibits.tables import make_table
    from sorafenib_rfa.files import write_csv, write_table

    config = data.cohort.config
    write_table(data.ard, folder / "ard" / "ard")
    for name, frame in data.ledgers.items():
        write_table(frame, folder / "clean" / name)
    given = {"ard": data.ard, "cohort": config, "plan": data.plan}
    for name in config.figures:
        figure, drawn = draw_figure(name, curves=data.curves, **given)
        save_figure(figure, drawn, folder / "figures" / name, source_date_epoch=0)
    for name in config.tables:
        table = make_table(name, **given)
        write_csv(table.data, folder / "tables" / f"{name}.csv")
        (folder / "tables" / f"{name}.md").write_text(table.markdown, encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("data", [with_arms, without_arms, assigned_arms], ids=["synthetic", "real", "trial"])
def test_stored_notebooks_run_and_show_the_results(tmp_path, monkeypatch, data):
    data = data()
    monkeypatch.chdir(tmp_path)
    name, config = data.cohort.name, data.cohort.config
    folder = Path("results") / name
    _write_results(data, folder)
    jobs = [
        NotebookJob(
            ROOT / "notebooks" / f"{story}.ipynb", folder / "notebooks" / f"{story}.ipynb",
            folder / "notebooks" / f"{story}.html", {"cohort": name, "results_dir": str(folder)}, config.synthetic,
            Path("logs") / f"{story}.ipynb",
        )
        for story in config.notebooks
    ]  # fmt: skip
    run_notebooks(jobs)
    shown = set()
    known = set(data.ard["ard_id"])
    for one in jobs:
        executed = nbformat.read(one.output_ipynb, as_version=4)
        for cell in executed.cells:
            for output in cell.get("outputs", []):
                assert output["output_type"] in ("display_data", "execute_result"), output
        page = one.output_html.read_text(encoding="utf-8")
        assert ("Synthetic data" in page) == config.synthetic
        assert not re.search(r"""(src|href)\s*=\s*["']?\s*(https?:)?//""", page)
        assert page.count("<table>") >= 1
        for ids in re.findall(r'data-ard="([^"]+)"', page):
            assert {i.partition(":")[2] or i for i in ids.split()} <= known
        assert str(tmp_path) not in page + one.output_ipynb.read_text(encoding="utf-8")
        shown |= {
            figure
            for figure in config.figures
            if base64.b64encode((folder / "figures" / f"{figure}.svg").read_bytes()).decode() in page
        }
    assert shown == set(config.figures), "a figure of the cohort is in no notebook"
    analysed = int(data.ard.set_index("ard_id").loc["flow.patients.analysed", "value"])
    first = jobs[0].output_html.read_text(encoding="utf-8")
    assert f"{analysed} analysed" in first or f"{analysed} were analysed" in first


def test_a_number_that_the_ard_lacks_is_refused_with_the_closest_ids(tmp_path):
    from sorafenib_rfa.files import write_table
    from sorafenib_rfa.notebooks.show import Results

    write_table(without_arms().ard, tmp_path / "ard" / "ard")
    results = Results(str(tmp_path))
    with pytest.raises(KeyError, match=r"no row 'flow\.patients\.analyzed'; close: flow\.patients\.analysed"):
        results.say("{flow.patients.analyzed} patients")
    with pytest.raises(KeyError, match=r"prognosis\.nothing"):
        results.rows("prognosis.nothing*", caption="")
    said = results.say("{flow.patients.analysed} of {prognosis.rfs_km.median|ci}")._repr_mimebundle_()
    assert said["text/markdown"].startswith("227 of 19.0 (95% CI 14.0 to 26.0)")


def test_quarantine_is_shown_with_origins_but_without_the_values(tmp_path):
    from sorafenib_rfa.files import write_table
    from sorafenib_rfa.notebooks.show import Results

    write_table(with_arms().ledgers["quarantine"], tmp_path / "clean" / "quarantine")
    results = Results(str(tmp_path))
    origins = results.quarantine_origins("Where.")._repr_mimebundle_()["text/plain"]
    assert "impossible_value\ts1\tpatients.xlsx\tPatients\t7\tAge\tage beyond 120 years" in origins
    assert "212" not in origins
    by_rule = results.quarantine_by_rule("How many.")._repr_mimebundle_()["text/plain"]
    assert "unparsable_date\twhole rows\t1\t0\t1" in by_rule
