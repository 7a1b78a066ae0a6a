"""Code identity: what must change the digest of a script's code, and what must not; seeds; file digests."""

import json
import os
import time

import pytest

from sorafenib_rfa.records.code_identity import CodeIdentity
from sorafenib_rfa.records.digests import sha256_of
from sorafenib_rfa.records.job import derived_seed


@pytest.fixture
def repository(tmp_path):
    package = tmp_path / "src" / "sorafenib_rfa"
    (package / "stage").mkdir(parents=True)
    (package / "__init__.py").write_text('"""Package."""\n')
    (package / "stage" / "__init__.py").write_text("from sorafenib_rfa.stage.first import go\n")
    (package / "stage" / "first.py").write_text("def go():\n    from .second import step\n    return step()\n")
    (package / "stage" / "second.py").write_text("def step():\n    return 1\n")
    (package / "other.py").write_text("x = 1\n")
    (tmp_path / "script.py").write_text("from sorafenib_rfa.stage import go\ngo()\n")
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title"]},
            {"cell_type": "code", "source": ["from sorafenib_rfa import other\n"], "outputs": []},
        ]
    }
    (tmp_path / "story.ipynb").write_text(json.dumps(notebook))
    return tmp_path


def digest(root, *entries):
    return CodeIdentity(root).digest(*(entries or ["script.py"]))


def test_files_are_those_imported_transitively_and_lazily(repository):
    assert list(CodeIdentity(repository).files("script.py")) == [
        "script.py",
        "src/sorafenib_rfa/__init__.py",
        "src/sorafenib_rfa/stage/__init__.py",
        "src/sorafenib_rfa/stage/first.py",
        "src/sorafenib_rfa/stage/second.py",
    ]


def test_a_changed_helper_changes_the_digest(repository):
    before = digest(repository)
    (repository / "src/sorafenib_rfa/stage/second.py").write_text("def step():\n    return 2\n")
    assert digest(repository) != before


def test_a_module_that_is_not_imported_does_not_count(repository):
    before = digest(repository)
    (repository / "src/sorafenib_rfa/other.py").write_text("x = 2\n")
    assert digest(repository) == before


def test_comments_docstrings_and_formatting_do_not_count(repository):
    before = digest(repository)
    (repository / "src/sorafenib_rfa/stage/second.py").write_text(
        '"""Now with words."""\n\n\ndef step( ):\n    """Doc."""\n    # why\n    return  1\n'
    )
    assert digest(repository) == before


def test_neither_touch_nor_an_old_modification_time_can_fool_the_cache(repository):
    cache = repository / "cache.json"
    before = CodeIdentity(repository, cache).digest("script.py")
    path = repository / "src/sorafenib_rfa/stage/second.py"
    os.utime(path, (time.time() + 9, time.time() + 9))
    assert CodeIdentity(repository, cache).digest("script.py") == before
    stat = path.stat()
    path.write_text("def step():\n    return 3\n")  # same size
    os.utime(path, (stat.st_atime, stat.st_mtime))
    assert CodeIdentity(repository, cache).digest("script.py") != before


def test_a_broken_cache_is_started_anew(repository):
    (repository / "cache.json").write_text("{not json")
    assert CodeIdentity(repository, repository / "cache.json").digest("script.py") == digest(repository)


def test_notebook_source_counts_and_its_outputs_do_not(repository):
    path = repository / "story.ipynb"
    before = digest(repository, "story.ipynb")
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "text": "1"}]
    path.write_text(json.dumps(notebook))
    assert digest(repository, "story.ipynb") == before
    notebook["cells"][0]["source"] = ["# Another title"]
    path.write_text(json.dumps(notebook))
    assert digest(repository, "story.ipynb") != before
    assert "src/sorafenib_rfa/other.py" in CodeIdentity(repository).files("story.ipynb")


def test_data_files_beside_an_imported_module_count(repository):
    before = digest(repository)
    (repository / "src/sorafenib_rfa/stage/templates").mkdir()
    (repository / "src/sorafenib_rfa/stage/templates/page.html").write_text("<p>")
    with_template = digest(repository)
    assert with_template != before
    (repository / "src/sorafenib_rfa/stage/templates/page.html").write_text("<b>")
    assert digest(repository) not in (before, with_template)


def test_seeds_differ_by_name_and_repeat():
    assert derived_seed(1, "a") == derived_seed(1, "a")
    assert len({derived_seed(1, "a"), derived_seed(2, "a"), derived_seed(1, "b"), derived_seed(1, "a", "b")}) == 4
    assert 0 <= derived_seed(1, "a") < 2**63


def test_digest_of_a_folder_sees_names_and_contents(tmp_path):
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a").write_text("1")
    before = sha256_of(tmp_path / "f")
    (tmp_path / "f" / ".snakemake_timestamp").touch()
    assert sha256_of(tmp_path / "f") == before
    (tmp_path / "f" / "a").rename(tmp_path / "f" / "b")
    assert sha256_of(tmp_path / "f") != before
