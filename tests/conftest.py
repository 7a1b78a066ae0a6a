"""Shared by all tests: with CI=true a skipped test is a failed one, so no check can quietly not run."""

import os

# Read when numpy is first imported. Matrices here are small, and a job of the workflow has one thread too: several
# threads in each of several processes only wait for each other.
for _library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import pytest  # noqa: E402

from sorafenib_rfa.notebooks.iri_grammar import leave_out_iri_grammar  # noqa: E402

leave_out_iri_grammar()  # as the workflow does: each process of a test run would compile it for three seconds

from tests.checkout import copy_of_checkout, finished_tiny  # noqa: E402


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished paper on a tiny cohort, the same for all processes of a test run: never change anything in it."""
    base = tmp_path_factory.getbasetemp()
    return finished_tiny((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "tiny")


@pytest.fixture(scope="module")
def tiny(finished, tmp_path_factory):
    """A copy of the finished paper for the tests of one file; those that change it put back what they changed."""
    return copy_of_checkout(finished, tmp_path_factory.mktemp("tiny") / "repository")


def pytest_configure(config):
    # xdist would begin with the files that have the most tests, which are not the longest
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    # one process builds the finished paper; the other does what is slow and does not need it meanwhile, and only then
    # comes what would wait for it; many short files at the end let both stop at the same time
    waiting = {item.path for item in items if "finished" in getattr(item, "fixturenames", ())}
    slow = {item.path for item in items if any(item.get_closest_marker(name) for name in ("slow", "workflow"))}
    builds = next((item.path for item in items if item.path in waiting), None)

    def turn(item):
        if item.path in waiting:
            return 0 if item.path == builds else 2
        return 1 if item.path in slow else 3

    items.sort(key=turn)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed with CI=true: {report.longrepr}"


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector):
    outcome = yield
    report = outcome.get_result()
    if os.environ.get("CI") == "true" and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which is not allowed with CI=true: {report.longrepr}"
