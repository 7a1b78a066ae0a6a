"""Dry runs of Snakemake that share its start: half of the two seconds each would take is the import of libraries.

A process that has imported Snakemake and nothing of this repository forks for each question; the child is Snakemake in
the folder asked for, with its own arguments and environment. Tests ask through :func:`ask`.
"""

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile

# what a dry run imports besides Snakemake's own command; of this repository nothing, a copy of it brings its own
LIBRARIES = (
    "snakemake.cli",
    "snakemake.report.html_reporter",
    "smart_open",
    "pydantic",
    "pydantic.main",
    "yaml",
)


@functools.cache
def _server(python, more):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    server = subprocess.Popen(
        [python, "-P", __file__, *more],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(server.communicate)  # closes its input, at which it ends
    return server


def ask(folder, arguments, environment, python=sys.executable, more=()):
    """Run Snakemake with these arguments and this environment in `folder`; return exit code and what it said.

    With another `python`, it is the Snakemake of that environment, which has imported `more` before.
    """
    server = _server(str(python), tuple(more))
    with tempfile.NamedTemporaryFile("r+", encoding="utf-8") as said:
        question = {"folder": str(folder), "arguments": arguments, "environment": environment, "said": said.name}
        server.stdin.write(json.dumps(question) + "\n")
        server.stdin.flush()
        code = int(server.stdout.readline())
        return code, said.read()


def _answer(folder, arguments, environment, said):
    """Become Snakemake; never return."""
    code = 1
    try:
        for stream, flags in ((0, os.O_RDONLY), (1, os.O_WRONLY), (2, os.O_WRONLY)):
            opened = os.open(said if stream else os.devnull, flags | (os.O_APPEND if stream else 0))
            os.dup2(opened, stream)
            os.close(opened)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        sys.argv = ["snakemake", *arguments]
        sys.modules["snakemake.cli"].main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def serve():
    """Answer one question a line until nobody asks any more."""
    for name in (*LIBRARIES, *sys.argv[1:]):
        __import__(name)
    assert "sorafenib_rfa" not in sys.modules
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _answer(**json.loads(line))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
