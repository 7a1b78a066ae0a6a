"""Shared by the tests that run the real DAG."""

import os

import pytest


@pytest.fixture
def change(tiny):
    """Change a file for one test; ``old_time`` keeps its modification time as a restored backup would."""
    undo = []

    def change_file(name, edit, *, old_time=False):
        path = tiny.folder / name
        stat = path.stat()
        undo.append((path, path.read_bytes(), stat))
        path.write_bytes(edit(path.read_bytes()))
        if old_time:
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    yield change_file
    for path, content, stat in undo:
        path.write_bytes(content)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
