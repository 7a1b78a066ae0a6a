"""Subgroups and repeat RFA: what a reader of the ARD would notice, on made-up cohorts; and their figures."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from estimates_data import adrecur, cohort, make_adam, plan, sessions, value

from sorafenib_rfa.config.models import AssignedArm, AssignedArms, Subgroup
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.estimates.ard import Estimates
from sorafenib_rfa.estimates.baseline import estimate_baseline
from sorafenib_rfa.estimates.repeat_rfa import estimate_repeat_rfa
from sorafenib_rfa.estimates.subgroups import estimate_subgroups
from sorafenib_rfa.exhibits.draw import draw_figure
from sorafenib_rfa.exhibits.format import format_value
from sorafenib_rfa.stats.balance import smd_continuous
from sorafenib_rfa.stats.cox import cox_fit
from sorafenib_rfa.vocabulary import CONTROL, DAYS_PER_MONTH, SORAFENIB

RESAMPLES = 200
SMALL = plan(bootstrap_resamples=RESAMPLES)


@cache
def adam(**changes) -> dict[str, pd.DataFrame]:
    data = make_adam(500, **changes)
    return data | {"adrecur": adrecur(data["adsl"]), "sessions": sessions(data["adsl"])}


def weights_of(data: dict[str, pd.DataFrame], using=SMALL, config=None) -> pd.DataFrame:
    return estimate_baseline(data["adsl"], using, config or cohort(), "synthetic", "r").curves["weights"]


@cache
def repeat() -> Estimates:
    data = adam()
    return repeated(data, weights_of(data), seed=3)


def repeated(data: dict[str, pd.DataFrame], weights: pd.DataFrame, *, recur=None, using=SMALL, seed=1) -> Estimates:
    recur = data["adrecur"] if recur is None else recur
    return estimate_repeat_rfa(
        data["adsl"], recur, weights, using, cohort(), "synthetic", "r", ablations=data["sessions"], seed=seed
    )


def subgroups(data: dict[str, pd.DataFrame], using=SMALL, *, weights=None, config=None, seed=3) -> Estimates:
    config = config or cohort()
    weights = weights_of(data, using, config) if weights is None else weights
    return estimate_subgroups(data["adsl"], data["adtte"], weights, using, config, "synthetic", "r", seed=seed)


@cache
def grouped() -> Estimates:
    return subgroups(adam())


# --- repeat RFA ----------------------------------------------------------------------------------------------------


def counted() -> pd.DataFrame:
    """Recount from ADSL and ADRECUR: patients alive under observation after day 60, and their later sessions."""
    data = adam()
    adsl, recur = data["adsl"].set_index("USUBJID"), data["adrecur"]
    end = (adsl["LSTALVDT"] - adsl["TRTSDT"]).dt.days
    inside = adsl[(adsl["LMFL"] == "Y") & (end > 60)].index
    sessions = recur[(recur["EVTYPE"] == "RFA session") & recur["USUBJID"].isin(inside)]
    later = sessions[sessions["ASTDY"] - 1 > 60].groupby("USUBJID").size()
    return pd.DataFrame(
        {
            "arm": adsl["LMTRT"].loc[inside],
            "sessions": later.reindex(inside).fillna(0).astype(int),
            "before": (sessions[sessions["ASTDY"] - 1 <= 60].groupby("USUBJID").size()).reindex(inside).fillna(0),
            "years": (end.loc[inside] - 60) / 365.25,
        }
    )


def test_sessions_and_time_are_those_after_the_landmark():
    ard, expected = repeat().ard, counted()
    assert value(ard, "repeat_rfa.sessions.before_entry")["value"] == expected["before"].sum() > 0
    for arm, slug in ((SORAFENIB, "sorafenib"), (CONTROL, "control")):
        own = expected[expected["arm"] == arm]
        prefix = f"repeat_rfa.sessions.{slug}"
        assert value(ard, f"{prefix}.n")["value"] == len(own)
        assert value(ard, f"{prefix}.sessions")["value"] == own["sessions"].sum()
        assert value(ard, f"{prefix}.patient_years")["value"] == pytest.approx(own["years"].sum(), rel=1e-9)
        rate = value(ard, f"{prefix}.rate_per_patient_year")
        assert rate["value"] == pytest.approx(own["sessions"].sum() / own["years"].sum())
        assert rate["ci_low"] < rate["value"] < rate["ci_high"]
        robust = value(ard, f"{prefix}.rate_per_patient_year_robust")
        assert robust["value"] == pytest.approx(rate["value"])
        for number in (0, 1, 2):
            row = value(ard, f"{prefix}.number.{number}.n")
            assert row["value"] == (own["sessions"] == number).sum()
        assert value(ard, f"{prefix}.number.3_or_more.n")["value"] == (own["sessions"] >= 3).sum()


def test_curve_ard_and_risk_table_agree():
    ard, curves = repeat().ard, repeat().curves
    curve = curves["mcf_repeat_rfa"]
    for group in ("sorafenib", "control"):
        for weighting, suffix in (("none", ""), ("overlap", "_overlap")):
            own = curve[(curve["group"] == group) & (curve["weighting"] == weighting)]
            assert (np.diff(own["mcf"]) >= -1e-12).all()
            at = own[own["time_months"] <= 36].iloc[-1]
            row = value(ard, f"repeat_rfa.mcf{suffix}.{group}.m36.mean")
            assert row["value"] == pytest.approx(at["mcf"])
            assert row["ci_low"] == pytest.approx(at["ci_low"])
            assert row["ci_high"] == pytest.approx(at["ci_high"])
    table = curves["risk_table_repeat_rfa"]
    total = table.groupby("group")["events_to_date"].max()
    assert total["control"] <= value(ard, "repeat_rfa.sessions.control.sessions")["value"]
    first = curve[(curve["weighting"] == "none")].groupby("group").first()
    assert first["n_risk"].to_dict() == table.groupby("group")["n_risk"].first().to_dict()


def test_difference_is_between_the_arms_and_weighting_changes_it():
    ard = repeat().ard
    for suffix in ("", "_overlap"):
        row = value(ard, f"repeat_rfa.mcf{suffix}.contrast.m36.difference")
        arms = [value(ard, f"repeat_rfa.mcf{suffix}.{arm}.m36.mean")["value"] for arm in ("sorafenib", "control")]
        assert row["value"] == pytest.approx(arms[0] - arms[1])
        assert row["ci_low"] < row["value"] < row["ci_high"]
        assert 0 < row["p_value"] < 1
    weighted = value(ard, "repeat_rfa.mcf_overlap.contrast.m36.difference")
    assert f"{RESAMPLES} bootstrap resamples" in weighted["method"]


def test_gaps_are_described_and_the_open_one_is_censored():
    ard = repeat().ard
    data = adam()
    recur = data["adrecur"]
    gaps = recur[(recur["EVTYPE"] == "RFA session") & (recur["ASTDY"] - 1 > 60)]
    gaps = gaps[gaps["USUBJID"].isin(counted().index)]["GAPDAYS"]
    assert value(ard, "repeat_rfa.gaps.n")["value"] == len(gaps)
    assert value(ard, "repeat_rfa.gaps.median")["value"] == pytest.approx(gaps.median())
    expected = counted()
    assert value(ard, "repeat_rfa.next_session.events")["value"] == (expected["sessions"] >= 2).sum()
    free = value(ard, "repeat_rfa.next_session.m12.survival")
    assert free["ci_low"] < free["value"] < free["ci_high"] < 100


def test_repeat_rfa_is_the_same_twice_and_hangs_on_the_seed():
    data = adam()
    pd.testing.assert_frame_equal(repeated(data, weights_of(data), seed=3).ard, repeat().ard)
    other = repeated(data, weights_of(data), seed=4).ard
    name = "repeat_rfa.mcf_overlap.contrast.m36.difference"
    assert value(other, name)["value"] == value(repeat().ard, name)["value"]
    assert value(other, name)["ci_low"] != value(repeat().ard, name)["ci_low"]


def shrunk(data: dict[str, pd.DataFrame], *, treated: int) -> dict[str, pd.DataFrame]:
    """Return the data with that many patients treated by the landmark (and recurrent sessions as they are)."""
    adsl = data["adsl"]
    names = adsl.loc[(adsl["LMTRT"] == SORAFENIB).fillna(False), "USUBJID"].iloc[treated:]
    gone = {}
    for name in ("adsl", "adtte", "adrecur"):
        gone[name] = data[name][~data[name]["USUBJID"].isin(names)].reset_index(drop=True)
    return data | gone


@pytest.mark.parametrize("treated", [0, 4])
def test_small_and_empty_arms_are_described_not_compared(treated):
    data = shrunk(adam(), treated=treated)
    ard = repeated(data, weights_of(data)).ard
    assert value(ard, "repeat_rfa.sessions.sorafenib.n")["value"] == treated
    for identifier in ("repeat_rfa.rate.contrast.rate_ratio", "repeat_rfa.mcf.contrast.m12.difference"):
        row = value(ard, identifier)
        assert np.isnan(row["value"])
        assert row["method"].startswith(("not tested", "not estimable"))
    assert value(ard, "repeat_rfa.mcf.control.m12.mean")["value"] > 0
    curves = subgroups(data).curves["subgroups"]
    assert curves["hr"].isna().all()
    assert len(curves) == len(grouped().curves["subgroups"])


def test_nobody_needs_a_second_session():
    data = adam()
    none = data["adrecur"][data["adrecur"]["EVTYPE"] != "RFA session"].reset_index(drop=True)
    result = repeated(data, weights_of(data), recur=none)
    assert value(result.ard, "repeat_rfa.sessions.sessions")["value"] == 0
    rate = value(result.ard, "repeat_rfa.sessions.rate_per_patient_year")
    assert (rate["value"], rate["ci_low"]) == (0, 0)
    assert rate["ci_high"] > 0
    row = value(result.ard, "repeat_rfa.mcf.control.m12.mean")
    assert row["value"] == 0
    assert "nobody had a session" in row["method"]
    for stat in ("repeat_rfa.rate.contrast.rate_ratio", "repeat_rfa.mean_overlap.contrast.mean_ratio"):
        assert value(result.ard, stat)["method"].startswith("not estimable: no events")
    figure, _ = draw("mcf_repeat_rfa", result)
    assert figure.axes


def test_follow_up_too_short_for_a_horizon_is_said():
    data = adam()
    using = plan(bootstrap_resamples=RESAMPLES, horizons_months=[1.0, 24.0, 600.0])
    ard = repeated(data, weights_of(data), using=using).ard
    for suffix in ("", "_overlap"):
        early = value(ard, f"repeat_rfa.mcf{suffix}.control.m1.mean")
        assert np.isnan(early["value"])
        assert "before observation starts" in early["method"]
        late = value(ard, f"repeat_rfa.mcf{suffix}.control.m600.mean")
        assert "follow-up of the group ends" in late["method"]
        assert np.isnan(value(ard, f"repeat_rfa.mcf{suffix}.contrast.m600.difference")["value"])


def test_no_propensity_score_leaves_the_unweighted_analysis():
    data = adam()
    none = weights_of(data).iloc[:0]
    ard = repeated(data, none).ard
    assert value(ard, "repeat_rfa.rate.contrast.rate_ratio")["value"] > 0
    for name in ("rate_overlap.contrast.rate_ratio", "mcf_overlap.control.m12.mean"):
        assert "propensity score could not be estimated" in value(ard, f"repeat_rfa.{name}")["method"]
    curves = subgroups(data, weights=none)
    assert curves.curves["subgroups"]["hr"].isna().all()
    assert "propensity score could not be estimated" in value(curves.ard, "subgroups.rfs.contrast.hr")["method"]


def test_nobody_at_the_landmark():
    data = adam() | {"adsl": adam()["adsl"].assign(LMFL=pd.array(["N"] * 500, dtype="string"))}
    none = weights_of(adam()).iloc[:0]
    for small_group in (0, 10):
        using = plan(bootstrap_resamples=RESAMPLES, small_group=small_group)
        result = repeated(data, none, using=using)
        assert value(result.ard, "repeat_rfa.sessions.n")["value"] == 0
        estimates = result.ard[~result.ard["unit"].isin(["count", "years"])]
        assert estimates["value"].isna().all()
        assert estimates["method"].str.startswith(("not estimable", "not tested")).all()
        assert subgroups(data, using, weights=none).curves["subgroups"]["hr"].isna().all()


def test_patient_without_an_end_of_observation_is_a_defect():
    data = adam()
    gone = data["adrecur"][data["adrecur"]["USUBJID"] != counted().index[0]]
    with pytest.raises(ValueError, match="no end of observation for 1"):
        repeated(data, weights_of(data), recur=gone)


# --- subgroups -----------------------------------------------------------------------------------------------------


def test_counts_are_those_of_the_level_and_everyone_is_somewhere():
    data, ard = adam(), grouped().ard
    scored = set(weights_of(data)["USUBJID"])
    adsl = data["adsl"][data["adsl"]["USUBJID"].isin(scored)]
    os = data["adtte"][(data["adtte"]["PARAMCD"] == "OS") & (data["adtte"]["AVAL"] > 60 / DAYS_PER_MONTH)]
    adsl = adsl[adsl["USUBJID"].isin(os["USUBJID"])]
    for stage in ("0", "A", "B1"):
        for arm, slug in ((SORAFENIB, "sorafenib"), (CONTROL, "control")):
            own = adsl[(adsl["BCLC"] == stage) & (adsl["LMTRT"] == arm)]
            found = value(ard, f"subgroups.os.{slug}.bclc.{stage.lower()}.n")["value"]
            assert found == len(own)
            events = os[os["USUBJID"].isin(own["USUBJID"])]["CNSR"].eq(0).sum()
            assert value(ard, f"subgroups.os.{slug}.bclc.{stage.lower()}.events")["value"] == events
    for key, levels in SMALL.subgroups.items():
        inside = sum(
            row["value"]
            for _, row in ard[ard["ard_id"].str.match(rf"subgroups\.os\.\w+\.{key.lower()}\.\w+\.n$")].iterrows()
        )
        assert inside + value(ard, f"subgroups.os.{key.lower()}.outside")["value"] == len(adsl)
        assert len(levels.levels) > 1


def test_own_score_balances_the_level_and_gives_its_hazard_ratio():
    data, ard = adam(), grouped().ard
    row = value(ard, "subgroups.balance.contrast.recurhcc.primary_hcc.max_smd")
    assert "fitted within the level" in row["method"]
    assert row["value"] < 1e-6
    # weights of all patients do not balance it
    weights = weights_of(data).set_index("USUBJID")
    rows = data["adsl"].set_index("USUBJID").loc[weights.index]
    primary = (rows["RECURFL"] == "N").to_numpy(dtype=bool)
    smd = smd_continuous(
        rows["AGE"].to_numpy(dtype=float)[primary], weights["treated"][primary], weights["w_overlap"][primary]
    )
    assert abs(smd) > 1e-3


def test_rare_category_is_left_out_of_the_score_of_a_level():
    """Two patients with a rare aetiology, both treated, would separate the score of their level."""
    data = adam() | {"adsl": adam()["adsl"].copy()}
    adsl = data["adsl"]
    primary = adsl["RECURFL"] == "N"
    adsl.loc[primary & (adsl["ETIOLOGY"] == "Other"), "ETIOLOGY"] = "HBV"
    treated = adsl.index[primary & (adsl["LMTRT"] == SORAFENIB).fillna(False) & adsl["AFPBL"].notna()][:2]
    adsl.loc[treated, "ETIOLOGY"] = "Other"
    row = value(subgroups(data).ard, "subgroups.balance.contrast.recurhcc.primary_hcc.max_smd")
    assert "fitted within the level, without rare categories (ETIOLOGY=Other)" in row["method"]
    assert 0.01 < row["value"] < 1
    assert "that of ETIOLOGY" in row["method"]


def test_shared_weights_where_the_level_is_too_small():
    levels = {"Some": {"SITEID": ["alpha"]}, "Few": {"SITEID": ["beta"], "BCLC": ["0"]}}
    using = plan(bootstrap_resamples=RESAMPLES, small_group=3, subgroups={"S": Subgroup(label="S", levels=levels)})
    data = adam()
    ard = subgroups(data, using).ard
    row = value(ard, "subgroups.balance.contrast.s.few.max_smd")
    assert "overlap weights of all patients (not of the level: " in row["method"]
    assert row["value"] > 0.05
    weights = weights_of(data, using).set_index("USUBJID")["w_overlap"]
    adsl = data["adsl"].set_index("USUBJID")
    rfs = data["adtte"][data["adtte"]["PARAMCD"] == "RFS"].set_index("USUBJID")
    few = adsl[(adsl["SITEID"] == "beta") & (adsl["BCLC"] == "0")].index
    few = few.intersection(weights.index).intersection(rfs.index[rfs["AVAL"] > 60 / DAYS_PER_MONTH])
    fit = cox_fit(
        (adsl.loc[few, "LMTRT"] == SORAFENIB).to_numpy(dtype=float),
        rfs.loc[few, "AVAL"] - 60 / DAYS_PER_MONTH,
        rfs.loc[few, "CNSR"] == 0,
        weights=weights.loc[few],
        robust=True,
    )
    hr = value(ard, "subgroups.rfs.contrast.s.few.hr")
    assert hr["value"] == pytest.approx(np.exp(fit.coef[0]), rel=1e-9)
    assert np.log(hr["ci_high"] / hr["ci_low"]) / 2 == pytest.approx(1.959963984540054 * fit.se[0], rel=1e-9)


def test_interaction_is_found_where_it_was_put_and_only_there():
    """Treatment is made to postpone recurrence in recurrent HCC only."""
    data = {name: frame.copy() for name, frame in adam().items()}
    adsl = data["adsl"]
    helped = set(adsl.loc[(adsl["LMTRT"] == SORAFENIB).fillna(False) & (adsl["RECURFL"] == "Y"), "USUBJID"])
    rows = data["adtte"]["USUBJID"].isin(helped) & (data["adtte"]["PARAMCD"] == "RFS")
    data["adtte"].loc[rows, "AVAL"] *= 6
    ard = subgroups(data).ard
    hit = value(ard, "subgroups.rfs.contrast.recurhcc.interaction_chi2")
    assert hit["p_value"] < 1e-4
    assert "on 1 df" in hit["method"]
    assert value(ard, "subgroups.rfs.contrast.recurhcc.rmst_heterogeneity_chi2")["p_value"] < 1e-4
    assert value(ard, "subgroups.rfs.contrast.bclc.interaction_chi2")["p_value"] > 0.01
    assert "on 2 df" in value(ard, "subgroups.rfs.contrast.bclc.interaction_chi2")["method"]


def test_p_values_are_adjusted_for_all_tests_done():
    ard = grouped().ard
    tests = ard[ard["ard_id"].str.endswith(".interaction_chi2")]
    assert value(ard, "subgroups.multiplicity.interaction_tests")["value"] == tests["p_value"].notna().sum() == 8
    smallest = tests.sort_values("p_value").iloc[0]
    adjusted = value(ard, smallest["ard_id"].replace("_chi2", "_p_holm"))["value"]
    assert adjusted == pytest.approx(min(1.0, 8 * smallest["p_value"]))


def test_level_without_patients_events_or_enough_of_them_keeps_its_row():
    levels = {
        "Nobody": {"BCLC": ["D"]},
        "Few": {"BCLC": ["A"], "SITEID": ["alpha"], "SEX": ["F"], "RECURFL": ["Y"]},
        "Many": {"BCLC": ["0", "B1"]},
    }
    using = plan(bootstrap_resamples=RESAMPLES, subgroups={"S": Subgroup(label="S", levels=levels)})
    data = adam()
    silent = data | {"adtte": data["adtte"].copy()}
    quiet = data["adsl"].loc[data["adsl"]["BCLC"].isin(["0", "B1"]), "USUBJID"]
    silent["adtte"].loc[silent["adtte"]["USUBJID"].isin(quiet), ["CNSR", "EVNTCD"]] = [1, 0]
    for given in (data, silent):
        result = subgroups(given, using)
        for level in ("nobody", "few"):
            row = value(result.ard, f"subgroups.rfs.contrast.s.{level}.hr")
            assert np.isnan(row["value"])
            assert row["method"].startswith("not tested: fewer than 10 patients")
            difference = value(result.ard, f"subgroups.rfs.contrast.s.{level}.rmst_difference_m36")
            assert np.isnan(difference["value"])
        test = value(result.ard, "subgroups.rfs.contrast.s.interaction_chi2")
        assert test["method"].startswith("not tested: the effect can be estimated in fewer than two levels")
        assert np.isnan(value(result.ard, "subgroups.rfs.contrast.s.interaction_p_holm")["value"])
        assert result.curves["subgroups"]["level"].tolist()[:5] == ["All patients", "", "Nobody", "Few", "Many"]
    many = value(result.ard, "subgroups.rfs.contrast.s.many.hr")
    assert many["method"].startswith("not estimable: no events")
    assert value(result.ard, "subgroups.rfs.contrast.s.many.rmst_difference_m36")["method"].startswith("not estimable")


def test_missing_value_belongs_to_no_level_and_is_counted():
    data = adam()
    changed = data | {"adsl": data["adsl"].copy()}
    changed["adsl"].loc[changed["adsl"].index[:100], "RECURFL"] = pd.NA
    using = plan(bootstrap_resamples=RESAMPLES, adjustment_set=[n for n in SMALL.adjustment_set if n != "RECURHCC"])
    ard = subgroups(changed, using).ard
    scored = set(weights_of(changed, using)["USUBJID"])
    expected = changed["adsl"]["USUBJID"].iloc[:100].isin(scored).sum()
    assert 0 < value(ard, "subgroups.os.recurhcc.outside")["value"] <= expected


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ({"A": {"BCLK": ["A"]}, "B": {"BCLC": ["B1"]}}, r"(?s)subgroups.S.levels.'A'.*BCLK.*did you mean BCLC"),
        ({"A": {"BCLC": ["A", "0"]}, "B": {"BCLC": ["A"]}}, "share patients"),
        ({"A+": {"BCLC": ["A"]}, "A-": {"BCLC": ["0"]}}, "cannot be told apart"),
    ],
)
def test_impossible_subgroups_are_told_by_their_key(levels, words):
    using = plan(subgroups={"S": Subgroup(label="S", levels=levels)})
    with pytest.raises(ConfigError, match=words):
        subgroups(adam(), using, weights=weights_of(adam()))


def test_a_trial_has_its_own_arms_and_columns():
    """Arms assigned at time zero, no landmark, a column of the cohort's own."""
    data = {name: frame.copy() for name, frame in adam().items()}
    names = {SORAFENIB: "New drug", CONTROL: "Placebo"}
    rng = np.random.default_rng(1)
    data["adsl"]["LMFL"] = "Y"
    assigned = pd.Series(rng.choice(list(names.values()), len(data["adsl"])), dtype="string")
    data["adsl"]["LMTRT"] = data["adsl"]["TRT01A"] = assigned
    data["adsl"]["MARKER"] = pd.Series(rng.choice(["low", "high"], len(data["adsl"])), dtype="string")
    arm = data["adtte"]["USUBJID"].map(data["adsl"].set_index("USUBJID")["LMTRT"])
    data["adtte"]["LMFL"], data["adtte"]["LMTRT"], data["adtte"]["TRT01A"] = "Y", arm, arm
    config = cohort(
        modules=["assigned_treatment", "survival_times"],
        assigned_arms=AssignedArms(
            treated=AssignedArm(value="x", label="New drug", slug="new"),
            control=AssignedArm(value="y", label="Placebo", slug="placebo"),
        ),
    )
    marker = Subgroup(label="Marker", levels={"Low": {"MARKER": ["low"]}, "High": {"MARKER": ["high"]}})
    using = plan(bootstrap_resamples=RESAMPLES, landmark_day=0, subgroups={"M": marker})
    result = subgroups(data, using, config=config)
    assert value(result.ard, "subgroups.rfs.new.m.low.n")["value"] > 50
    row = value(result.ard, "subgroups.rfs.contrast.m.high.hr")
    assert row["method"].startswith("Marker (High): New drug against Placebo")
    assert row["ci_low"] < 1 < row["ci_high"]


# --- figures -------------------------------------------------------------------------------------------------------


def draw(name: str, result: Estimates):
    return draw_figure(name, ard=result.ard, curves=result.curves, cohort=cohort(), plan=SMALL)


def printed(figure) -> list[str]:
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def test_mcf_figure_draws_its_curves_as_long_as_ten_are_at_risk_and_prints_its_ratios():
    """Ten by number, or by weight: beyond that a curve would hang on a few patients."""
    figure, drawn = draw("mcf_repeat_rfa", repeat())
    frame = repeat().curves["mcf_repeat_rfa"]
    enough = frame["n_risk"] >= 10
    assert 0 < (~enough).sum() < 20
    frame = frame[enough]
    assert "Curves end where fewer than 10 are at risk." in printed(figure)
    for panel, weighting in (("Unweighted", "none"), ("Overlap-weighted", "overlap")):
        for label in (SORAFENIB, CONTROL):
            own = drawn[(drawn["element"] == "curve") & (drawn["panel"] == panel) & (drawn["series"] == label)]
            source = frame[(frame["weighting"] == weighting) & (frame["label"] == label)]
            np.testing.assert_allclose(own["y"], source["mcf"])
    rows = repeat().ard.set_index("ard_id")
    said = drawn[drawn["element"] == "text"]
    assert len(said) == 4
    for row in said.itertuples():
        assert format_value(rows.loc[row.ard_id], form="ci") in row.text
        assert row.text in printed(figure)
    at_risk = drawn[(drawn["element"] == "at_risk") & (drawn["panel"] == "Unweighted")]
    table = repeat().curves["risk_table_repeat_rfa"]
    for row in at_risk.itertuples():
        source = table[(table["label"] == row.series) & (table["time_months"] == row.x)]
        assert row.text == str(int(source["n_risk"].iloc[0]))
    assert printed(figure).count("Synthetic data") == 3


def test_subgroup_figure_has_a_line_for_each_row_and_larger_squares_for_more_information():
    figure, drawn = draw("subgroups", grouped())
    frame, rows = grouped().curves["subgroups"], grouped().ard.set_index("ard_id")
    drawn = drawn[drawn["element"] != "text"]
    assert len(drawn) == len(frame)
    assert drawn["ard_id"].tolist() == frame["ard_id"].tolist()
    texts = printed(figure)
    for row in frame.itertuples():
        if row.role == "heading":
            raw = (
                format_value(rows.loc[row.ard_id], form="p")
                .removeprefix("p ")
                .removeprefix("= ")
                .replace("> ", ">")
                .replace("< ", "<")
            )
            adjusted = format_value(rows.loc[row.ard_id.replace("_chi2", "_p_holm")])
            assert f"{raw} ({adjusted})" in texts
        else:
            assert format_value(rows.loc[row.ard_id], form="ci").replace("95% CI ", "") in texts
            assert f"{int(row.events_treated)}/{int(row.n_treated)}" in texts
    ax = figure.axes[0]
    marks = {float(line.get_xdata()[0]): line.get_markersize() for line in ax.lines if line.get_marker() == "s"}
    own = frame[(frame["endpoint"] == "RFS") & (frame["role"] == "level")]
    width = np.log(own["hi"] / own["lo"])
    by_width = [marks[hr] for hr in own["hr"].iloc[np.argsort(width)]]
    assert by_width == sorted(by_width, reverse=True)
    assert by_width[0] > by_width[-1]


def test_subgroup_figure_marks_borrowed_weights_and_counts_those_in_no_level():
    """One level too small for a score of its own; those of other sites and stages are in none."""
    levels = {"Some": {"SITEID": ["alpha"]}, "Few": {"SITEID": ["beta"], "BCLC": ["0"]}}
    using = plan(bootstrap_resamples=RESAMPLES, small_group=3, subgroups={"S": Subgroup(label="S", levels=levels)})
    found = subgroups(adam(), using)
    curve = found.curves["subgroups"]
    assert curve.loc[curve["endpoint"] == "RFS", "weights"].tolist() == ["all_patients", "", "level", "all_patients"]
    figure, drawn = draw("subgroups", found)
    texts = printed(figure)
    assert texts.count("Few \u2020") == curve["endpoint"].nunique()
    assert "Some" in texts
    (notes,) = [text for text in texts if "dashed line" in text]
    assert "\u2020 Overlap weights of all patients" in notes
    outside = value(found.ard, "subgroups.rfs.s.outside")["value"]
    assert outside > 0
    assert f"In no level of S (a value is missing or not listed): {outside:.0f}" in notes
    assert drawn.loc[drawn["element"] == "text", "ard_id"].tolist()[0] == "subgroups.rfs.s.outside"


def test_subgroup_figure_says_what_is_not_estimable():
    data = shrunk(adam(), treated=4)
    figure, drawn = draw("subgroups", subgroups(data))
    drawn = drawn[drawn["element"] != "text"]
    assert sum("not estimable" in text for text in printed(figure)) >= len(drawn)
    assert drawn["x"].isna().all()
    assert not any("\u2020" in text for text in printed(figure))
