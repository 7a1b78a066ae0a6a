"""The crate and the PROV document: valid for tools that know nothing of this repository, and true to the records."""

import json
import shutil
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote

import pytest
import requests
import rocrate
import urllib3
from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity, ProvGeneration, ProvUsage
from rocrate.rocrate import ROCrate

from sorafenib_rfa.errors import SealError
from sorafenib_rfa.export.contents import read_contents
from sorafenib_rfa.export.crate import write_crate
from sorafenib_rfa.export.errors import ExportError
from tests.unit.export_study import PAPER, make_study

CONTEXT = "https://w3id.org/ro/crate/1.1/context"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_study(tmp_path_factory.mktemp("study")).root


@pytest.fixture(scope="module")
def contents(root):
    return read_contents(root, "synthetic", [PAPER])


@pytest.fixture(scope="module")
def folder(contents, tmp_path_factory):
    destination = tmp_path_factory.mktemp("crate")
    write_crate(contents, destination, "2026-11-21")
    return destination


@pytest.fixture(scope="module")
def graph(folder):
    metadata = json.loads((folder / "ro-crate-metadata.json").read_text(encoding="utf-8"))
    return {entity["@id"]: entity for entity in metadata["@graph"]}


def of_type(graph, kind):
    return [e for e in graph.values() if kind in ([e["@type"]] if isinstance(e["@type"], str) else e["@type"])]


def ids(value):
    return {each["@id"] for each in ([value] if isinstance(value, dict) else value or [])}


class FromTheWheel(requests.adapters.BaseAdapter):
    """Answer with the JSON-LD context that the rocrate wheel carries, so that nothing is fetched."""

    def send(self, request, **_):
        body = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
        headers = {"Content-Type": "application/ld+json"}
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers.update(headers)
        response.raw = urllib3.HTTPResponse(
            body=BytesIO(body), headers=headers, status=200, preload_content=False, request_url=request.url
        )
        return response

    def close(self):
        pass


@pytest.fixture(scope="module")
def validate(tmp_path_factory):
    """Validate a crate offline; the validator's cache is filled once."""
    from rocrate_validator import services
    from rocrate_validator.models import Severity, ValidationSettings
    from rocrate_validator.utils.http import HttpRequester

    cache = str(tmp_path_factory.mktemp("cache") / "http")
    requester = HttpRequester(cache_path=cache, cache_max_age=-1)
    requester.session.mount(CONTEXT, FromTheWheel())
    assert requester.session.get(CONTEXT).status_code == 200

    def validated(crate, first_only=False):
        return services.validate(
            ValidationSettings(
                rocrate_uri=str(crate),
                profile_identifier="provenance-run-crate",
                requirement_severity=Severity.REQUIRED,
                offline=True,
                cache_path=cache,
                abort_on_first=first_only,
            )
        )

    return validated


@pytest.mark.slow
def test_the_validator_finds_no_required_issue(folder, validate, tmp_path):
    result = validate(folder)
    assert [str(issue.message) for issue in result.get_issues()] == []
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    metadata = broken / "ro-crate-metadata.json"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("HowToStep", "Thing"), encoding="utf-8")
    assert validate(broken, first_only=True).get_issues()  # the check can fail


def test_the_library_reads_it_back_and_every_file_it_carries_is_there(folder):
    crate = ROCrate(folder)
    carried = [entity for entity in crate.data_entities if not entity.id.startswith("#")]
    assert len(carried) > 50
    for entity in carried:
        assert (folder / entity.id).exists(), entity.id
    assert crate.mainEntity.id == "Snakefile"


def test_each_job_is_an_action_with_the_files_of_its_record(contents, graph):
    actions = {e["subjectOf"]["@id"]: e for e in of_type(graph, "CreateAction") if "subjectOf" in e}
    assert set(actions) == {*contents.records, *contents.failed}
    paths = {identifier: identifier.removeprefix("#").removesuffix("/") for identifier in graph}
    for path, record in contents.records.items():
        action = actions[path]
        made = {unquote(paths[each]) for each in ids(action["result"])}
        used = {unquote(paths[each]) for each in ids(action["object"]) if not each.startswith("#value/")}
        assert made == {entry["path"] for entry in record.outputs}
        assert used == {entry["path"] for entry in record.inputs}
        assert (action["startTime"], action["endTime"]) == (record.run["started"], record.run["ended"])
        assert action["identifier"] == f"sha256:{record.seal}"
        for entry in record.outputs:
            entity = next(e for e in graph.values() if e.get("name") == entry["path"])
            assert (entity["sha256"], entity["contentSize"]) == (entry["sha256"], str(entry["bytes"]))


def test_a_failed_job_is_told_with_its_error(contents, graph):
    (path,) = contents.failed
    action = next(e for e in of_type(graph, "CreateAction") if e.get("subjectOf", {}).get("@id") == path)
    assert action["actionStatus"].endswith("FailedActionStatus")
    assert action["error"] == "KeyError: 'ALBI' <b>"
    assert "result" not in action


def test_steps_tools_parameters_and_environment(contents, graph):
    rules = {record.rule for record in contents.records.values()}
    assert {step["name"] for step in of_type(graph, "HowToStep")} == rules
    assert len(of_type(graph, "ControlAction")) == len(contents.records) + len(contents.failed)
    tools = {e["name"]: e for e in of_type(graph, "SoftwareApplication") if e["@id"].startswith("#tool/")}
    assert set(tools) == {record.content["script"] for record in contents.records.values()}
    assert all(step["description"] for step in of_type(graph, "HowToStep"))
    drawn = tools["workflow/scripts/draw_figures.py"]
    assert "#software/pandas-2.3.3" in ids(drawn["softwareRequirements"])
    assert "src/sorafenib_rfa/exhibits/draw.py" in {graph[each]["name"] for each in ids(drawn["hasPart"])}
    connections = {
        (c["sourceParameter"]["@id"], c["targetParameter"]["@id"]) for c in of_type(graph, "ParameterConnection")
    }
    assert ("#port/collect_ard/output/ard", "#port/draw_figures_of_synthetic/input/ard") in connections
    seed = next(e for e in of_type(graph, "PropertyValue") if e["name"] == "seed")
    assert seed["value"] == "20140915"


def test_nothing_of_another_cohort_or_of_files_nobody_made_is_described(folder):
    text = (folder / "ro-crate-metadata.json").read_text(encoding="utf-8")
    for secret in ("hospital", "notes.csv", "old.svg"):
        assert secret not in text
    assert not (folder / "config/cohorts/hospital").exists()


def test_the_folder_is_small_since_results_stay_where_they_are(folder):
    assert not (folder / "results/synthetic/ard/ard.parquet").exists()
    assert not (folder / "data").exists()


# --- PROV ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def document(folder):
    return ProvDocument.deserialize(folder / "prov.json", format="json")


def named(document, kind):
    return {str(record.identifier): record for record in document.get_records(kind)}


def pairs(document, kind):
    return {tuple(str(value) for _, value in record.formal_attributes[:2]) for record in document.get_records(kind)}


def test_prov_loads_back_and_says_what_the_records_say(contents, document):
    jobs = named(document, ProvActivity)
    assert set(jobs) == {f"job:{path}" for path in [*contents.records, *contents.failed]}
    files = {k: v for k, v in named(document, ProvEntity).items() if k.startswith("path:")}
    assert {k: next(iter(v.get_attribute("study:sha256"))) for k, v in files.items()} == {
        f"path:{fact.path}": fact.sha256 for fact in contents.files.values()
    }
    made, used = pairs(document, ProvGeneration), pairs(document, ProvUsage)
    for path, record in contents.records.items():
        for entry in record.outputs:
            assert (f"path:{entry['path']}", f"job:{path}") in made
        for entry in record.inputs:
            assert (f"job:{path}", f"path:{entry['path']}") in used


def test_prov_leads_from_a_number_of_the_text_to_its_job(document):
    derived, made = pairs(document, ProvDerivation), pairs(document, ProvGeneration)
    row = "ard:synthetic:flow.patients.screened"
    assert ("use:manuscript/index.qmd:31:1", row) in derived
    assert (row, "path:results/synthetic/ard/ard.parquet") in derived
    assert (row, "job:results/synthetic/records/collect_ard/synthetic.json") in made
    entity = named(document, ProvEntity)[row]
    assert next(iter(entity.get_attribute("study:value"))) == 12.0
    empty = named(document, ProvEntity)["ard:synthetic:flow.patients.analysed"]
    assert not empty.get_attribute("study:value")  # not estimable: no number is made up


# --- refusals ------------------------------------------------------------------------------------


def test_results_that_no_record_accounts_for_are_refused(root):
    with pytest.raises(ExportError, match=r"results/synthetic/figures/old\.svg"):
        read_contents(root, "synthetic", ["results/synthetic/figures/old.svg"])


def test_records_that_disagree_are_refused(root, tmp_path):
    other = tmp_path / "study"
    shutil.copytree(root, other)
    path = other / "results/synthetic/records/make_tables_of_synthetic/synthetic.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["inputs"][0]["sha256"] = "0" * 64
    path.write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(SealError, match=r"ard\.parquet"):
        read_contents(other, "synthetic", [PAPER])
