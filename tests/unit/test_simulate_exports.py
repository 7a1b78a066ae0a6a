"""The six exports: their bytes, their dialects, and that ingest and clean find every error planted in them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from sorafenib_rfa.adam import build_adam
from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.load import load_cohort
from sorafenib_rfa.config.paths import raw_paths
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.ingest import ingest_site
from sorafenib_rfa.simulate import load_parameters, simulate_raw
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.exports import CAUGHT_BY
from sorafenib_rfa.simulate.population import draw_population
from tests.unit.ingest_helpers import plan

ROOT = Path(__file__).resolve().parents[2]
PATH = ROOT / "config/cohorts/synthetic/simulation.yaml"
SITES = ("cn01", "cn02", "fr01", "it01", "jp01", "us01")
SIZE, SEED = 400, 4


@pytest.fixture(scope="module")
def study():
    return simulate_raw(load_parameters(PATH, size=SIZE), seed=SEED)


@pytest.fixture(scope="module")
def cohort():
    return load_cohort(ROOT, "synthetic")


@pytest.fixture(scope="module")
def ingested(study, cohort, tmp_path_factory):
    folder = tmp_path_factory.mktemp("raw")
    made = {}
    for site, files in study.exports.items():
        (folder / site).mkdir()
        for name, content in files.items():
            (folder / site / name).write_bytes(content)
        made[site] = ingest_site(folder / site, site, cohort.sites[site], cohort.config, shown_folder=f"raw/{site}")
    return made


@pytest.fixture(scope="module")
def cleaned(ingested, cohort):
    return clean_cohort(ingested, cohort, plan())


# --- bytes -----------------------------------------------------------------------------------------------------

DIGESTS = """
import hashlib, json, sys
from pathlib import Path
from sorafenib_rfa.simulate import load_parameters, simulate_raw
study = simulate_raw(load_parameters(Path(sys.argv[1]), size=90), seed=int(sys.argv[2]))
print(json.dumps({
    **{f"{s}/{n}": hashlib.sha256(b).hexdigest() for s, files in study.exports.items() for n, b in files.items()},
    "truth": hashlib.sha256(study.truth.to_csv().encode()).hexdigest(),
    "dirt": hashlib.sha256(study.dirt.to_csv().encode()).hexdigest(),
}))
"""


def digests(seed: int, hash_seed: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", DIGESTS, str(PATH), str(seed)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo" if seed else "UTC"},
    )
    return json.loads(done.stdout)


def test_same_seed_same_bytes_in_another_process_and_other_seed_other_bytes():
    first, again, other = digests(0, "0"), digests(0, "4711"), digests(1, "0")
    assert first == again
    assert set(first) == set(other)
    assert all(first[name] != other[name] for name in first)


def test_workbooks_carry_no_time_of_writing(study):
    content = study.exports["it01"]["estrazione.xlsx"]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(2021, 1, 4, 0, 0, 0)}
        assert b"2021-01-04T00:00:00Z</dcterms:modified>" in archive.read("docProps/core.xml")


def test_each_centre_sends_exactly_the_files_its_configuration_reads(study, cohort):
    assert tuple(study.exports) == SITES == tuple(cohort.sites)
    for site, files in study.exports.items():
        assert [f"data/raw/synthetic/{site}/{name}" for name in files] == raw_paths(cohort, site)


def test_a_tiny_cohort_has_all_centres_and_its_size():
    study = simulate_raw(load_parameters(PATH, size=150, scenario="harm"), seed=1)
    assert tuple(study.exports) == SITES
    assert len(study.truth) == 150 and study.truth["USUBJID"].is_unique
    assert set(study.truth["scenario"]) == {"harm"}
    assert study.truth["death_hazard_ratio"].iloc[0] == "1.5 from month 0; 1 from month 24"


def test_other_centres_than_the_six_are_refused():
    parameters = load_parameters(PATH)
    centres = {("de01" if name == "fr01" else name): centre for name, centre in parameters.centres.items()}
    with pytest.raises(ConfigError, match="six known hospitals"):
        simulate_raw(parameters.model_copy(update={"centres": centres}), seed=1)


# --- dialects --------------------------------------------------------------------------------------------------


def text(study, site, name, encoding):
    return study.exports[site][name].decode(encoding)


def test_cn01_writes_chinese_in_gb18030(study):
    content = study.exports["cn01"]["患者.csv"]
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    patients = list(csv.DictReader(io.StringIO(content.decode("gb18030"))))
    assert {"男", "女"} <= {row["性别"] for row in patients}
    dates = [row["出生日期"] for row in patients if row["出生日期"]]
    assert all("年" in day and day.endswith("日") for day in dates)
    labs = list(csv.DictReader(io.StringIO(text(study, "cn01", "检验.csv", "gb18030"))))
    assert {row["单位"] for row in labs if row["项目"] == "总胆红素"} >= {"μmol/L"}
    assert {row["单位"] for row in labs if row["项目"] == "白蛋白"} >= {"g/L"}


def test_cn02_is_one_workbook_with_titles_above_headers_and_real_dates(study):
    book = openpyxl.load_workbook(io.BytesIO(study.exports["cn02"]["RFA_registry_export.xlsx"]))
    assert book.sheetnames == ["Patients", "RFA", "Sorafenib", "Imaging", "Labs", "AE"]
    page = book["Patients"]
    assert page["A1"].value.startswith("Radiofrequency") and page["A3"].value == "Patient ID"
    column = next(cell.column_letter for cell in page[3] if cell.value == "Date of birth")
    assert all(cell.is_date for cell in page[column][3:])
    labs = book["Labs"]
    column = next(cell.column_letter for cell in labs[3] if cell.value == "AFP (ng/mL)")
    afp = {cell.value for cell in labs[column][3:]}
    assert {"<3", ">1210"} <= afp and any(isinstance(value, float) for value in afp)


def test_fr01_writes_french_in_cp1252_with_semicolons_and_commas(study):
    content = study.exports["fr01"]["biologie.csv"]
    with pytest.raises(UnicodeDecodeError):
        content.decode("utf-8")
    labs = list(csv.DictReader(io.StringIO(content.decode("cp1252")), delimiter=";"))
    albumin = [row["Résultat"] for row in labs if row["Analyse"] == "Albumine"]
    assert all("," in value and "." not in value for value in albumin)
    patients = list(csv.DictReader(io.StringIO(text(study, "fr01", "patients.csv", "cp1252")), delimiter=";"))
    assert {"décédé", "vivant"} == {row["État"] for row in patients}
    assert all(len(row["N° dossier"]) == 4 for row in patients), "leading zeros stay"


def test_it01_is_a_workbook_of_texts_beside_a_csv(study):
    book = openpyxl.load_workbook(io.BytesIO(study.exports["it01"]["estrazione.xlsx"]))
    cells = {type(cell.value) for page in book for row in page.iter_rows(min_row=2) for cell in row}
    assert cells == {str, type(None)}
    labs = list(csv.DictReader(io.StringIO(text(study, "it01", "laboratorio.csv", "utf-8")), delimiter=";"))
    assert {row["Unità"] for row in labs if row["Esame"] == "Alfa-fetoproteina"} >= {"UI/mL"}
    assert {row["Unità"] for row in labs if row["Esame"] == "Albumina"} >= {"g/dL"}


def test_jp01_has_one_column_a_test(study):
    labs = list(csv.DictReader(io.StringIO(text(study, "jp01", "kensa.csv", "utf-8"))))
    cells = [row["血小板(万/μL)"] for row in labs]
    counts = [float(cell) for cell in cells if cell and cell.isascii()]
    assert 5 < np.median(counts) < 25, "in units of ten thousand a microlitre"
    assert all(day.count("/") == 2 for day in (row["採血日"] for row in labs))


def test_us01_has_a_byte_order_mark_and_its_own_codes_for_missing(study):
    content = study.exports["us01"]["demographics.csv"]
    assert content.startswith(b"\xef\xbb\xbf")
    patients = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    cells = {cell for row in patients for cell in row.values()}
    assert {"-99", "."} & cells
    assert all(len(row["LAST_CONTACT"]) == 10 and row["LAST_CONTACT"][2] == "/" for row in patients)


# --- what comes back -------------------------------------------------------------------------------------------


def test_facts_survive_the_dialects(study, ingested):
    """Facts of the truth and facts read from the exports agree to the rounding of each export."""
    dirty = set(study.dirt.loc[study.dirt["table"] == "patients", "subject_id"])
    for site in SITES:
        truth = study.truth[(study.truth["site"] == site) & ~study.truth["subject_id"].isin(dirty)]
        read = ingested[site].tables["patients"].drop_duplicates("subject_id").set_index("subject_id")
        read = read.loc[truth["subject_id"]]
        sizes = read["largest_tumour_cm"].to_numpy(dtype=float)
        assert np.abs(sizes - truth["largest_tumour_cm"].to_numpy()).max() < 1e-9, site
        assert (read["tumour_count"].to_numpy(dtype=int) == truth["tumour_count"].to_numpy()).all(), site
        assert (read["recurrent_hcc"].eq("Y").to_numpy() == truth["recurrent_hcc"].to_numpy()).all(), site
        assert (read["vital_status"].eq("dead").to_numpy() == truth["observed_death"].to_numpy()).all(), site
        first = ingested[site].tables["ablations"].groupby("subject_id")["ablation_date"].min()
        dated = truth.set_index("subject_id")["index_date"].reindex(first.index).dropna()
        assert (first.loc[dated.index] == dated).all(), site


def test_baseline_albi_survives_the_units(study, ingested):
    """The ALBI score computed from the exports differs from the true one by the rounding of the units only."""
    from sorafenib_rfa.clinical.liver import albi_score

    for site in SITES:
        labs = ingested[site].tables["labs"]
        dirty = study.dirt.loc[(study.dirt["site"] == site) & (study.dirt["table"] == "labs"), "subject_id"]
        truth = study.truth[study.truth["site"] == site].set_index("subject_id")
        baseline = labs[labs["sample_date"] <= labs["subject_id"].map(truth["index_date"])]
        baseline = baseline[~baseline["subject_id"].isin(dirty)]
        wide = baseline.pivot(index="subject_id", columns="test", values="value")
        both = wide[["ALB", "BILI"]].dropna().join(truth["albi"], how="inner")
        gap = np.abs(albi_score(both["BILI"], both["ALB"]).to_numpy(dtype=float) - both["albi"].to_numpy())
        # half the last digit: 0.05 g/dL of albumin is 0.5 g/L, 0.05 mg/dL of bilirubin 0.855 umol/L
        bound = 0.085 * 0.5 - 0.66 * np.log10(1 - 0.855 / both["BILI"].to_numpy(dtype=float))
        assert len(gap) > 10
        assert (gap <= bound + 1e-9).all(), site


# --- planted errors --------------------------------------------------------------------------------------------


def test_every_kind_of_error_is_planted(study):
    assert set(study.dirt["kind"]) == set(CAUGHT_BY)
    by_site = study.dirt.groupby("kind")["site"].nunique()
    # planted where a centre has what they need: a style of writing, a death, a complication without its date, local
    # progression without its tumour, a limit of normal beside each result
    somewhere = {"full_width_digits", "unknown_unit", "lab_after_death", "diameter_slip", "missing_uln",
                 "complication_before_session", "not_a_tumour_list", "unknown_tumour"}  # fmt: skip
    assert (by_site[sorted(set(CAUGHT_BY) - somewhere)] == len(SITES)).all()
    assert by_site["missing_uln"] == sum(not dialect.wide_labs for dialect in DIALECTS.values()) == 4


def test_wrong_stages_are_as_frequent_as_declared(study):
    recorded = SIZE * (1 - load_parameters(PATH).laboratory.missing_patient_fact.value["recorded_bclc"])
    found = (study.dirt["kind"] == "wrong_bclc").sum()
    p = 0.15
    assert abs(found - recorded * p) <= 4.5 * np.sqrt(recorded * p * (1 - p))


def test_without_dirt_nothing_is_planted_and_nothing_quarantined(cohort, tmp_path):
    kinds = {f"dirt.{kind}": 0.0 for kind in CAUGHT_BY}
    study = simulate_raw(load_parameters(PATH, size=120, **kinds), seed=2)
    assert study.dirt.empty
    made = {}
    for site, files in study.exports.items():
        (tmp_path / site).mkdir()
        for name, content in files.items():
            (tmp_path / site / name).write_bytes(content)
        made[site] = ingest_site(tmp_path / site, site, cohort.sites[site], cohort.config, shown_folder=f"raw/{site}")
    done = clean_cohort(made, cohort, plan())
    assert done.quarantine.empty, done.quarantine.to_string()


def places(frame):
    """Return (site, file, sheet, row) of every row."""
    sheet = frame["sheet"].fillna("")
    file = frame["file"].str.rsplit("/", n=1).str[-1]
    return list(zip(frame["site"], file, sheet, frame["row"].astype(int), strict=True))


def test_ingest_and_clean_catch_every_planted_error_by_its_rule(study, cleaned):
    found: dict[tuple, set] = {}
    for place, rule in zip(places(cleaned.quarantine), cleaned.quarantine["rule"], strict=True):
        found.setdefault(place, set()).add(rule)
    missed = [
        (entry.kind, place)
        for entry, place in zip(study.dirt.itertuples(), places(study.dirt), strict=True)
        if isinstance(entry.caught_by, str) and entry.caught_by not in found.get(place, set())
    ]
    assert missed == []


def test_nothing_else_is_quarantined(study, cleaned):
    planted = study.dirt[study.dirt["caught_by"].notna()]
    twice = planted[planted["kind"] == "conflicting_patient"]
    # of a patient entered twice, both rows go: the original stands above the planted one
    expected = {*places(planted), *places(twice.assign(row=twice["row"] - 1))}
    assert set(places(cleaned.quarantine)) == expected


def test_flags_are_what_is_odd_and_usable_and_nothing_else(cleaned):
    scopes = cleaned.quarantine.groupby("rule")["scope"].agg(lambda scope: " ".join(sorted(set(scope))))
    flagged = {rule for rule, scope in scopes.items() if "flag" in scope}
    assert flagged == {"event_before_index", "missing_uln"}
    assert scopes[sorted(flagged)].eq("flag").all()


def test_what_a_centre_does_not_collect_is_missing_there_and_only_there(ingested):
    graded = {
        site: made.tables["ablations"].dropna(subset="complication_clavien_dindo") for site, made in ingested.items()
    }
    assert all(len(rows) for rows in graded.values())
    no_sir = {site for site, rows in graded.items() if rows["complication_sir"].isna().all()}
    no_cirse = {site for site, rows in graded.items() if rows["complication_cirse"].isna().all()}
    assert (no_sir, no_cirse) == ({"fr01", "it01"}, {"cn01", "jp01"})
    for site, rows in graded.items():
        assert site in no_sir or rows["complication_sir"].notna().all(), site
        assert rows["complication_date"].notna().mean() > 0.5, site


def test_the_planted_list_names_the_cell_as_it_stands(study):
    rows = study.dirt.query("site == 'us01' and file == 'labs.csv' and kind == 'unknown_unit'")
    lines = list(csv.reader(io.StringIO(text(study, "us01", "labs.csv", "utf-8-sig"))))
    assert len(rows)
    for entry in rows.itertuples():
        assert lines[entry.row - 1][lines[0].index(entry.column)] == entry.value == "mgs%"
        assert lines[entry.row - 1][0] == entry.subject_id


def test_harmless_errors_are_read_for_what_they_mean(study, ingested):
    spaced = study.dirt[study.dirt["kind"] == "stray_space"]
    for entry in spaced.itertuples():
        table = ingested[entry.site].tables["imaging"]
        row = table[table["src_row"] == entry.row]
        assert row["finding"].notna().all() and entry.value.endswith(" ")
    wide = study.dirt[study.dirt["kind"] == "full_width_digits"]
    assert set(wide["site"]) == {"cn01", "cn02", "jp01"}
    for entry in wide.itertuples():
        assert not entry.value.isascii()
        table = ingested[entry.site].tables["labs"]
        row = table[(table["src_row"] == entry.row) & (table["source_value"] == entry.value)]
        assert row["value"].gt(0).all() and len(row)


def test_selection_keeps_only_the_truly_eligible_and_no_stage_is_taken_on_trust(study, cleaned):
    fates = cleaned.fates.merge(study.truth[["USUBJID", "eligible", "stage"]], on="USUBJID", validate="one_to_one")
    assert len(fates) == SIZE
    analysed = fates["fate"] == "analysed"
    assert fates.loc[analysed, "eligible"].all()
    # the eligible who are lost: a fact that the stage needs was not recorded, or was spoilt
    lost = fates[fates["eligible"] & ~analysed]
    assert set(lost["step_id"]) <= {"stage_known", "adult", "conflicting_duplicate"}
    wrong = study.dirt[study.dirt["kind"] == "wrong_bclc"]
    names = "synthetic-" + wrong["site"] + "-" + wrong["subject_id"]
    assert fates.set_index("USUBJID").loc[names, "fate"].eq("analysed").sum() > 20


def test_tumours_and_sessions_of_adam_agree_with_patients_and_ledger(cleaned, cohort):
    adam = build_adam(cleaned.tables, cohort, plan(), incomplete_ablations=cleaned.incomplete_ablations)
    adsl, adtum, adproc = (adam[name] for name in ("adsl", "adtum", "adproc"))
    # whoever recurred locally first has a tumour that progressed on that very day, and nobody has one before
    local = adsl[adsl["RECSITE"].str.contains("LTP", regex=False).fillna(False)]
    first = adtum.dropna(subset="LTPDT").groupby("USUBJID")["LTPDT"].min()
    assert len(local) > 20
    assert first.reindex(local["USUBJID"]).tolist() == local["RECDT"].tolist()
    assert not (first < adsl.set_index("USUBJID")["RECDT"].reindex(first.index)).any()
    # who is in ADTUM without being analysed left at the step that asks for complete ablation, and all of them are
    fates = cleaned.fates.set_index("USUBJID")
    assert set(adtum.loc[adtum["ANLFL"] == "N", "USUBJID"]) == set(fates.index[fates["step_id"] == "complete_rfa"])
    index = adtum[adtum["INDEXFL"] == "Y"]
    assert index[index["ANLFL"] == "Y"]["TECHEFFL"].eq("Y").all()
    worst = index[index["ANLFL"] == "N"].groupby("USUBJID")["TECHEFFL"].agg(lambda flags: flags.eq("Y").all())
    assert not worst.any()
    # sessions and tumours count the same raw rows
    tumours = adtum[adtum["ANLFL"] == "Y"].groupby(["USUBJID", "PROCSEQ"]).size()
    assert tumours.tolist() == adproc["NTUM"].tolist()
    assert len(cleaned.tables["ablations"]) == adproc["NTUM"].sum()


def test_centres_say_that_they_are_fictional(cohort):
    assert all(site.title.endswith("(fictional)") for site in cohort.sites.values())


def test_eligible_share_leaves_a_cohort_of_useful_size():
    """About 650 to 750 of 900 are eligible, as the design asks."""
    people = draw_population(load_parameters(PATH), 20_000, 1)
    assert 650 / 900 < people["eligible"].mean() < 750 / 900
