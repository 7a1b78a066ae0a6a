"""A paper is built only with the cohort its prose was written for."""

from pathlib import Path

import pytest

from sorafenib_rfa.manuscript.build import written_for
from sorafenib_rfa.manuscript.errors import ManuscriptError

INDEX = Path(__file__).resolve().parents[2] / "manuscript" / "index.qmd"


def test_the_text_of_the_repository_is_for_the_synthetic_cohort():
    written_for(INDEX, "synthetic")


def test_prose_about_synthetic_patients_is_not_printed_about_others():
    with pytest.raises(ManuscriptError, match="written-for: my_cohort"):
        written_for(INDEX, "my_cohort")


def test_a_text_that_does_not_say_for_whom_it_was_written(tmp_path):
    (tmp_path / "index.qmd").write_text('---\ntitle: "{{< meta cohort_title >}}"\n---\n\nText.\n')
    with pytest.raises(ManuscriptError, match="no key written-for"):
        written_for(tmp_path / "index.qmd", "synthetic")
