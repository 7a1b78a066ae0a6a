"""The registry of scale: real simulation part by part, bytes that do not depend on who writes them, errors found."""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ingest_helpers import ROOT, plan

from sorafenib_rfa.clean import clean_cohort
from sorafenib_rfa.config.load import Cohort, load_cohort
from sorafenib_rfa.config.models import SiteConfig
from sorafenib_rfa.errors import ConfigError
from sorafenib_rfa.ingest import Ingested, ingest_site
from sorafenib_rfa.simulate import load_parameters, scale
from sorafenib_rfa.simulate.dialects import DIALECTS
from sorafenib_rfa.simulate.exports import CAUGHT_BY
from sorafenib_rfa.simulate.scale import BASELINE_TESTS, REGISTRY_TABLES, ScaleExports, scale_sites, write_scale_exports

PARAMETERS = load_parameters(ROOT / "config/cohorts/synthetic/simulation.yaml")
PATIENTS, SEED = 1600, 3


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("raw")


@pytest.fixture(scope="module")
def exports(raw: Path) -> ScaleExports:
    """Return a registry written in two parts each: 400 patients, at most 250 at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale, "PART", 250)
        return write_scale_exports(PARAMETERS, raw, patients=PATIENTS, seed=SEED)


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    shipped = load_cohort(ROOT, "synthetic")
    sites: dict[str, SiteConfig] = {}
    for site, model in scale_sites().items():
        tables = {name: table for name, table in shipped.sites[model].tables.items() if name in REGISTRY_TABLES}
        sites[site] = shipped.sites[model].model_copy(update={"tables": tables})
    modules = ["treatment", "ablations", "imaging", "labs"]
    return Cohort("scale", shipped.config.model_copy(update={"modules": modules}), sites)


@pytest.fixture(scope="module")
def ingested(exports: ScaleExports, raw: Path, cohort: Cohort) -> dict[str, Ingested]:
    return {
        site: ingest_site(raw / site, site, cohort.sites[site], cohort.config, shown_folder=site)
        for site in exports.files
    }


def test_sixteen_centres_send_what_their_configuration_reads(exports: ScaleExports, raw: Path, cohort: Cohort) -> None:
    assert len(exports.files) == 16
    for site, files in exports.files.items():
        assert sorted(path.name for path in (raw / site).iterdir()) == files
        assert files == sorted(table.file for table in cohort.sites[site].tables.values())


def test_every_patient_is_one_and_none_is_a_copy(ingested: dict[str, Ingested], exports: ScaleExports) -> None:
    patients = pd.concat([made.tables["patients"] for made in ingested.values()])
    planted = exports.dirt[(exports.dirt["table"] == "patients")].groupby("kind").size()
    twice = planted["exact_duplicate"] + planted["conflicting_patient"]
    assert len(patients) == PATIENTS + twice
    assert patients[["site", "subject_id"]].drop_duplicates().shape[0] == PATIENTS
    # a course of dates and sizes that two patients share would be a copy; a duplicated row is one by intention
    unique = patients.drop_duplicates(["site", "subject_id"])
    facts = unique[["largest_tumour_cm", "tumour_count", "death_date", "last_contact_date", "sex", "etiology"]]
    assert facts[unique["last_contact_date"].notna()].duplicated(keep=False).mean() < 0.02


def test_the_same_bytes_whoever_writes_which_registry(
    exports: ScaleExports, raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scale, "PART", 250)
    dirt = [
        write_scale_exports(PARAMETERS, tmp_path, patients=PATIENTS, seed=SEED, registries=own).dirt
        for own in ([3, 1], [0, 2])
    ]
    assert digests(tmp_path) == digests(raw)
    both = pd.concat(dirt).sort_values(["site", "file", "row", "kind"], kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(
        both, exports.dirt.sort_values(["site", "file", "row", "kind"], kind="stable", ignore_index=True)
    )


def test_parts_of_a_file_have_one_header_and_one_mark(exports: ScaleExports, raw: Path) -> None:
    for site, files in exports.files.items():
        dialect = DIALECTS[scale_sites()[site]]
        for name in files:
            content = (raw / site / name).read_bytes()
            assert content.count(b"\xef\xbb\xbf") == (dialect.encoding == "utf-8-sig")
            header, *lines = content.decode(dialect.encoding).splitlines()
            assert header not in lines


def test_the_planted_list_names_the_cell_as_it_stands(exports: ScaleExports, raw: Path) -> None:
    named = exports.dirt[exports.dirt["column"].notna()]
    for (site, file), entries in named.groupby(["site", "file"]):
        dialect = DIALECTS[scale_sites()[site]]
        text = (raw / site / file).read_bytes().decode(dialect.encoding)
        lines = list(csv.reader(io.StringIO(text), delimiter=dialect.delimiter))
        for entry in entries.itertuples():
            assert lines[entry.row - 1][lines[0].index(entry.column)] == entry.value, (site, file, entry.row)


def test_ingest_and_clean_find_every_planted_error(
    exports: ScaleExports, ingested: dict[str, Ingested], cohort: Cohort
) -> None:
    quarantine = clean_cohort(ingested, cohort, plan()).quarantine
    files = quarantine["file"].str.rsplit("/", n=1).str[-1]
    found = set(zip(quarantine["site"], files, quarantine["row"], quarantine["rule"], strict=True))
    planted = exports.dirt[exports.dirt["caught_by"].notna()]
    missed = planted[
        [place not in found for place in zip(*(planted[c] for c in ("site", "file", "row", "caught_by")), strict=True)]
    ]
    assert len(planted) > 700 > 100 * len(missed)
    # what one error costs can hide another: the death of a patient who was entered twice in two ways, and is taken by
    # neither, is no longer known; and who has no ablation on record has no tumour that could be unknown
    twice = planted[planted["kind"] == "conflicting_patient"]
    ablated = {site: set(made.tables["ablations"]["subject_id"]) for site, made in ingested.items()}
    for error in missed.itertuples():
        entered_twice = error.subject_id in set(twice.loc[twice["site"] == error.site, "subject_id"])
        assert entered_twice if error.kind == "lab_after_death" else error.kind == "unknown_tumour", error
        assert entered_twice or error.subject_id not in ablated[error.site], error
    of_adverse_events = {"grade_6", "end_before_start", "grade_0", "event_before_index"}
    # diameters slip where they are large, and other kinds where a record has what they need
    assert set(CAUGHT_BY) - set(exports.dirt["kind"]) <= of_adverse_events | {"diameter_slip", "missing_uln"}


def test_registry_holds_baseline_labs_alone_and_whole_imaging(ingested: dict[str, Ingested]) -> None:
    labs = pd.concat([made.tables["labs"] for made in ingested.values()])
    assert set(labs["test"]) - set(BASELINE_TESTS) <= {"CREA"}  # a CREA of -1 is one of the planted errors
    per_patient = labs[labs["test"] != "CREA"].groupby(["site", "subject_id"]).size()
    assert 5.5 < per_patient.mean() < 6.2
    imaging = pd.concat([made.tables["imaging"] for made in ingested.values()])
    assert 12 < len(imaging) / PATIENTS < 17


def test_centres_of_a_registry_differ_and_registries_differ(ingested: dict[str, Ingested]) -> None:
    first, second = (ingested[site].tables["patients"] for site in ("fr01_1", "fr01_2"))
    assert not np.array_equal(first["largest_tumour_cm"].to_numpy()[:50], second["largest_tumour_cm"].to_numpy()[:50])
    shares = {site: made.tables["patients"]["etiology"].eq("HBV").mean() for site, made in ingested.items()}
    assert min(shares[f"cn01_{k}"] for k in range(1, 5)) > 0.7 > 0.4 > max(shares[f"us01_{k}"] for k in range(1, 5))


@pytest.mark.parametrize("patients", [239, 1_000_001])
def test_too_few_or_too_many_patients_are_refused(tmp_path: Path, patients: int) -> None:
    with pytest.raises(ConfigError, match="240 to 1000000 patients"):
        write_scale_exports(PARAMETERS, tmp_path, patients=patients, seed=1)


def test_parameters_without_a_centre_are_refused(tmp_path: Path) -> None:
    centres = {name: centre for name, centre in PARAMETERS.centres.items() if name != "jp01"}
    with pytest.raises(ConfigError, match="no centre jp01"):
        write_scale_exports(PARAMETERS.model_copy(update={"centres": centres}), tmp_path, patients=300, seed=1)
