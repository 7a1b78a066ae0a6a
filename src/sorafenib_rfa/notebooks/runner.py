"""Execute notebooks with papermill and publish them as byte-stable .ipynb and self-contained HTML."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sorafenib_rfa.errors import ConfigError, Problem, UserError
from sorafenib_rfa.notebooks.iri_grammar import leave_out_iri_grammar
from sorafenib_rfa.notebooks.normalise import normalise, to_bytes
from sorafenib_rfa.notebooks.parameters import check_parameters, code_cells, read_notebook

__all__ = ["KernelImports", "NotebookError", "NotebookJob", "code_cells", "run_notebooks"]

TEMPLATE: Final = Path(__file__).parent / "template"
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*m")
_SECONDS_TO_END: Final = 300.0
"""So long a kernel may take to end before it is killed; the 5 s of Jupyter are too short on a busy machine."""
_SOCKET_PATH_LIMIT: Final = 60
"""Longest temporary folder whose sockets stay within the 107 bytes of a Unix socket's path."""


class NotebookError(UserError):
    """A notebook could not be executed to its end."""

    title = "A notebook failed"


@dataclass(frozen=True)
class NotebookJob:
    """One execution of a notebook.

    Attributes
    ----------
    source : Path
        Stored notebook, without outputs.
    output_ipynb, output_html : Path
        Executed copy and page; their folders are made.
    parameters : mapping
        Values of the parameters cell; paths are relative to the working folder, in which the kernel runs too.
    synthetic : bool
        The data are synthetic: both outputs say so on top.
    partial : Path
        Where the notebook is kept as far as it ran when a cell fails.
    """

    source: Path
    output_ipynb: Path
    output_html: Path
    parameters: Mapping[str, Any]
    synthetic: bool
    partial: Path


def run_notebooks(jobs: Sequence[NotebookJob], *, cell_timeout_s: int | None = 600) -> KernelImports:
    """Execute notebooks, normalise the executed copies and make their HTML.

    All parameters of all notebooks are checked before the first kernel starts. Kernels run this interpreter
    (``sys.executable``) whichever kernels are installed, with an IPython folder of their own, and are reached
    through Unix sockets in a private folder, so that neither a user's configuration nor another job on the same
    machine can interfere. When a notebook fails the others still run.

    Parameters
    ----------
    jobs : sequence of NotebookJob
    cell_timeout_s : int, optional
        Seconds after which a cell counts as hanging.

    Returns
    -------
    KernelImports
        What the kernels imported.

    Raises
    ------
    ConfigError
        If a parameter is unknown, missing or of the wrong type, in any notebook.
    NotebookError
        If a cell fails, the kernel dies or a cell takes too long: names notebook, cell and the exception.
    """
    problems: list[Problem] = []
    parameters: list[dict[str, Any]] = []
    for job in jobs:
        try:
            parameters.append(check_parameters(job.source, job.parameters))
        except ConfigError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)

    with _kernel_folder() as folder:
        manager = _kernel_manager(folder)

        failures = [
            _execute(job, values, manager, folder, cell_timeout_s) for job, values in zip(jobs, parameters, strict=True)
        ]
        if any(failures):
            raise NotebookError(failure for failure in failures if failure is not None)
        return KernelImports.read(folder, kernels=len(jobs))


@dataclass(frozen=True)
class KernelImports:
    """What notebooks imported, as their kernels said when they ended.

    Attributes
    ----------
    distributions : dict
        Name -> version of the distributions imported from.
    modules : tuple of str
        Files of the modules of this package, and of others that lie in the working folder.
    """

    distributions: dict[str, str]
    modules: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, *, kernels: int) -> KernelImports:
        """Return what the kernels with their files in `folder` wrote.

        Raises
        ------
        NotebookError
            If one of them was ended before it had written it: a record without it would not tell what the notebook
            rests on, and its seal would depend on how busy the machine was.
        """
        said = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob(f"{_IMPORTS}*.json"))]
        if len(said) < kernels:
            raise NotebookError(
                Problem(
                    "a kernel was ended before it had said what it imported",
                    found=f"{len(said)} of {kernels} kernels",
                    hint="run it again when the machine is less busy",
                )
            )
        distributions: dict[str, str] = {}
        for kernel in said:
            distributions |= kernel["distributions"]
        return cls(distributions, tuple(sorted({name for kernel in said for name in kernel["modules"]})))


_IMPORTS: Final = "imports-"
_IMPORTS_TO: Final = "SORAFENIB_RFA_KERNEL_FOLDER"
_AT_START: Final = f"""\
import atexit
def _say_imports():
    import json, os, pathlib, sys
    from sorafenib_rfa.records.environment import imported_distributions
    here, files = os.getcwd() + os.sep, [(n, getattr(m, "__file__", None)) for n, m in list(sys.modules.items())]
    mine = [f for n, f in files if f and (n.split(".")[0] == "sorafenib_rfa" or f.startswith(here))]
    said = {{"distributions": imported_distributions(), "modules": sorted(mine)}}
    path = pathlib.Path(os.environ["{_IMPORTS_TO}"], f"{_IMPORTS}{{os.getpid()}}")
    path.write_text(json.dumps(said), encoding="utf-8")
    path.rename(f"{{path}}.json")
atexit.register(_say_imports)
del _say_imports, atexit
"""
"""Runs in a kernel before its first cell, so that the job's record knows what the notebook rests on."""


@contextmanager
def _kernel_folder() -> Iterator[Path]:
    """Yield a private folder for sockets and IPython's files."""
    base = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="nb-", dir=base if len(base) < _SOCKET_PATH_LIMIT else "/tmp"))
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-imports.py").write_text(_AT_START, encoding="utf-8")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _kernel_manager(folder: Path) -> type:
    """Return a kernel manager class that runs this interpreter, whatever kernelspecs are installed."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class ThisInterpreter(AsyncKernelManager):
        """Kernel of ``sys.executable`` on Unix sockets below a private folder."""

        @property
        def kernel_spec(self) -> KernelSpec:
            """What to start."""
            return KernelSpec(
                argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="Python 3 (ipykernel)",
                language="python",
                env={
                    "IPYTHONDIR": str(folder / "ipython"),
                    _IMPORTS_TO: str(folder),
                    "JUPYTER_CONFIG_DIR": str(folder / "jupyter"),
                    "PYTHONSTARTUP": "",  # IPython runs it as well
                    "PYTHONHASHSEED": "0",
                    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
                },
            )

        @default("shutdown_wait_time")
        def _patience(self) -> float:
            return _SECONDS_TO_END

        @default("transport")
        def _unix_sockets(self) -> str:
            # TCP ports are chosen before they are bound: two jobs starting kernels at once can collide
            return "ipc"

        @default("connection_file")
        def _private_file(self) -> str:
            return str(folder / f"k{uuid.uuid4().hex[:12]}.json")

    return ThisInterpreter


@contextmanager
def _as_if_not_installed(name: str) -> Iterator[None]:
    """Let a module that is looked for, and not needed, not be found: importing it takes a quarter of a second."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]


def _execute(
    job: NotebookJob, values: dict[str, Any], manager: type, folder: Path, cell_timeout_s: int | None
) -> Problem | None:
    """Execute one notebook and write its outputs; return what failed."""
    leave_out_iri_grammar()
    import nbformat

    with _as_if_not_installed("pyarrow.fs"):  # papermill could store notebooks in Hadoop
        import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    for path in (job.output_ipynb, job.output_html, job.partial):
        path.parent.mkdir(parents=True, exist_ok=True)
    notebook = nbformat.read(job.source, as_version=4)
    # papermill fills in braces of a path like a format string, so it gets a path of our own making
    executed = folder / f"{uuid.uuid4().hex}.ipynb"
    try:
        with _as_if_not_installed("black"):  # papermill formats the cell with the values, which is written anew
            papermill.execute_notebook(
                notebook,
                str(executed),
                values,
                kernel_name="python3",
                language="python",
                progress_bar=False,
                kernel_manager_class=manager,
                execution_timeout=cell_timeout_s,
            )
    except papermill.PapermillExecutionError as error:
        message = _ANSI.sub("", str(error.evalue)).strip().splitlines()
        found = f"{error.ename}: {message[-1]}" if message else str(error.ename)
        return _failure(job, executed, "a cell failed", error.source, found)
    except DeadKernelError:
        return _failure(job, executed, "the kernel died", None, "no answer", "most often the memory was used up")
    except CellTimeoutError:
        return _failure(job, executed, "a cell did not end", None, f"nothing after {cell_timeout_s} s")

    result = normalise(nbformat.read(executed, as_version=4), synthetic=job.synthetic, folder=Path.cwd())
    job.output_ipynb.write_bytes(to_bytes(result))
    job.output_html.write_text(to_html(result, name=job.source.stem, synthetic=job.synthetic), encoding="utf-8")
    return None


def _failure(
    job: NotebookJob, executed: Path, message: str, source: str | None, found: str, hint: str | None = None
) -> Problem:
    """Keep the notebook as far as it ran and return what is to be said."""
    place = str(job.source)
    if source is not None:
        cells = read_notebook(job.source)["cells"]
        number = next((n for n, cell in enumerate(cells, start=1) if cell["source"] == source), None)
        if number is None:  # papermill's own cell with the values
            place += ", the cell with the parameters given"
        else:
            first = next((line for line in source.splitlines() if line.strip()), "")
            place += f", cell {number} ({first.strip()[:60]})"
    kept = None
    if executed.is_file():
        import nbformat

        partial = normalise(nbformat.read(executed, as_version=4), synthetic=job.synthetic, folder=Path.cwd())
        job.partial.write_bytes(to_bytes(partial))
        kept = f"the notebook as far as it ran: {job.partial}"
    return Problem(message, file=place, found=found, hint="; ".join(filter(None, [hint, kept])) or None)


def to_html(notebook: dict[str, Any], *, name: str, synthetic: bool) -> str:
    """Return a normalised notebook as one self-contained page: nothing is loaded from elsewhere.

    Parameters
    ----------
    notebook : dict
        What :func:`~sorafenib_rfa.notebooks.normalise.normalise` returns.
    name : str
        Title where the notebook has no heading.
    synthetic : bool
        Show the banner that stays in sight while scrolling and is repeated on each printed page.
    """
    import nbformat
    from nbconvert.exporters import HTMLExporter

    heading = next(
        (
            line.lstrip("# ")
            for cell in notebook["cells"]
            if cell["cell_type"] == "markdown"
            for line in cell["source"].splitlines()
            if line.startswith("# ")
        ),
        name,
    )
    exporter = HTMLExporter(template_name=TEMPLATE.name, extra_template_basedirs=[str(TEMPLATE.parent)])
    node = nbformat.from_dict(notebook)
    node.metadata["title"] = heading
    page, _ = exporter.from_notebook_node(node, resources={"synthetic": synthetic})
    return page
