"""The stored agreement with R as the supplement prints it."""

import pandas as pd
import pytest
from estimates_data import ROOT, cohort, plan

from sorafenib_rfa.errors import InputError
from sorafenib_rfa.estimates.agreement import estimate_agreement
from sorafenib_rfa.exhibits.tables import make_table

STORED = pd.read_csv(ROOT / "validation/agreement.csv", dtype=str, keep_default_na=False).astype({"values": int})


def estimated(rows=STORED):
    return estimate_agreement(rows, "synthetic", "r", shown_as="validation/agreement.csv").ard.set_index("ard_id")


def test_every_stored_quantity_is_counted_once():
    ard = estimated()
    quantities = ard[ard["stat_name"] == "quantities"]["value"]
    assert quantities.loc["agreement.all.quantities"] == len(STORED)
    assert quantities.drop("agreement.all.quantities").sum() == len(STORED)


def test_the_stored_agreement_is_that_of_todays_estimators():
    """`make crosscheck` wrote it; a family added since, or a quantity renamed, would be missing here."""
    import sys

    sys.path.insert(0, str(ROOT / "tests/reference"))
    import ours

    for family in ours.FAMILIES:
        assert set(STORED.loc[STORED["family"] == family, "quantity"]) == set(ours.ours(family)), family
    assert STORED["relative_difference"].astype(float).max() < 1e-6


def test_the_table_has_a_row_a_function_and_the_largest_difference():
    table = make_table("agreement", ard=estimated().reset_index(), cohort=cohort(), plan=plan())
    last = table.data[table.data["row"] == table.data["row"].max()]
    assert last["text"].tolist()[2] == f"{len(STORED):,}"
    functions = STORED.drop_duplicates(["family", "function"])
    assert table.data["row"].max() == len(functions) + STORED["family"].nunique() + 1


def test_small_differences_keep_their_power_of_ten():
    rows = STORED.head(2).assign(relative_difference=["1.3e-10", "0.0e+00"], family=["a", "b"])
    table = make_table("agreement", ard=estimated(rows).reset_index(), cohort=cohort(), plan=plan())
    assert {"1.3 \u00d7 10\u207b\u00b9\u2070", "0"} <= set(table.data["text"])


def test_a_damaged_file_is_an_error_that_names_the_cell():
    with pytest.raises(InputError) as caught:
        estimated(STORED.head(3).assign(relative_difference=["1e-9", "small", "0"]))
    (problem,) = caught.value.problems
    assert (problem.file, problem.row, problem.column) == ("validation/agreement.csv", 3, "relative_difference")
    with pytest.raises(InputError, match="a column is missing"):
        estimated(STORED.drop(columns="data"))
