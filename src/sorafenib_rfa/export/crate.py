"""Provenance Run Crate 0.5: the jobs behind the paper, as machines that do not know this repository can read them.

One description serves two crates. In ``results/<cohort>/crate/`` it stands beside the sources of the workflow and the
records; data and results are described there with sha256 and size under local identifiers (``#results/...``), because
they already lie next door and would double the tree. In the bag the same description stands at the top of the payload,
where every file it names is present under its own path.

Profile: https://w3id.org/ro/wfrun/provenance/0.5, on RO-Crate 1.1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sorafenib_rfa.export.citation import Author, Citation, read_citation
from sorafenib_rfa.export.contents import Contents
from sorafenib_rfa.records.digests import sha256_of
from sorafenib_rfa.records.record import Record, canonical

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

PROFILES: Final = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
BIOSCHEMAS: Final = "https://bioschemas.org/profiles/"
TERMS: Final = "https://w3id.org/ro/terms/workflow-run#"
EXTRA_TERMS: Final = {
    **{
        name: TERMS + name
        for name in (
            "ParameterConnection",
            "connection",
            "resourceUsage",
            "sha256",
            "sourceParameter",
            "targetParameter",
        )
    },
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
"""Terms in the document itself, so that it reads without the network: those of workflow runs, which RO-Crate's context
lacks, and those of Bioschemas as in the context of RO-Crate 1.1: later contexts, which libraries carry, moved them."""

MEDIA_TYPES: Final = {
    ".bib": "application/x-bibtex",
    ".cff": "application/yaml",
    ".csl": "application/vnd.citationstyles.style+xml",
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".html": "text/html",
    ".ipynb": "application/x-ipynb+json",
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".lock": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".py": "text/x-python",
    ".qmd": "text/markdown",
    ".smk": "text/x-python",
    ".svg": "image/svg+xml",
    ".toml": "application/toml",
    ".tsv": "text/tab-separated-values",
    ".txt": "text/plain",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}

WORKFLOW: Final = "Snakefile"
IN_FOLDER: Final = ("config/", "envs/", "manuscript/", "notebooks/", "profiles/", "workflow/")
"""Sources that the crate's folder holds, beside the files at the top of the repository: what the run was told to do."""


def media_type(path: str) -> str:
    """Return the media type of a file by its suffix; the repository's files without one are texts."""
    return MEDIA_TYPES.get(Path(path).suffix, "text/plain")


def rule_descriptions(root: Path) -> dict[str, str]:
    """Return script -> first line of the docstring of its rule, from the workflow's rule files.

    Of rules made one a cohort, ``draw_figures_of_<cohort>``, the script is what they have in common.
    """
    found = {}
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"^ *rule\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
            said = re.match(r' ?\w*:\n +"""(.+?)(?:"""|\n)', block)
            script = re.search(r'"\.\./scripts/(\w+)\.py"', block)
            if said and script:
                found.setdefault(f"workflow/scripts/{script[1]}.py", said[1])
    return found


def locked_version(root: Path, distribution: str) -> str:
    """Return the version of a distribution that ``requirements.lock`` pins."""
    match = re.search(
        rf"^{re.escape(distribution)}==(\S+)", (root / "requirements.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
    if match is None:
        raise KeyError(f"requirements.lock pins no {distribution}")
    return match[1]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _refs(ids: Iterable[str]) -> list[dict[str, str]]:
    return [{"@id": each} for each in dict.fromkeys(ids)]


class _Description:
    """The entities of a crate, collected before they are handed to the library."""

    def __init__(self, contents: Contents, carried: Callable[[str], bool], publication_date: str) -> None:
        self.contents = contents
        self.carried = carried
        self.publication_date = publication_date
        self.citation: Citation = read_citation(contents.root)
        self.rules = rule_descriptions(contents.root)
        self.entities: dict[str, dict[str, Any]] = {}
        self.data: dict[str, str] = {}
        """Identifier of each file or folder -> its path."""

    # --- helpers -------------------------------------------------------------------------------------------------

    def add(self, identifier: str, kind: str | list[str], /, **properties: Any) -> str:
        """Add an entity once and return its identifier."""
        if identifier not in self.entities:
            given = {key: value for key, value in properties.items() if value not in (None, [], "")}
            self.entities[identifier] = {"@type": kind, **given}
        return identifier

    def link(self, source: str, key: str, *targets: str) -> None:
        """Append references, each once."""
        present = self.entities[source].setdefault(key, [])
        known = {each["@id"] for each in present}
        present.extend({"@id": each} for each in dict.fromkeys(targets) if each not in known)

    def path_id(self, path: str, *, folder: bool = False) -> str:
        """Return the identifier of a file: its path where the crate carries it, a local identifier where not."""
        name = quote(path) + ("/" if folder else "")
        return name if self.carried(path) else f"#{name}"

    def file(self, path: str, sha256: str, size: int, kind: str | list[str] = "File", **properties: Any) -> str:
        """Add a file or folder and return its identifier."""
        folder = kind == "Dataset"
        identifier = self.path_id(path, folder=folder)
        self.data[identifier] = path
        private = self.contents.is_private(path)
        return self.add(
            identifier,
            kind,
            name=properties.pop("name", path),
            contentSize=str(size),
            sha256=sha256,
            encodingFormat=None if folder else properties.pop("encodingFormat", None) or media_type(path),
            description="Private data: not given away, known by its digest." if private else None,
            **properties,
        )

    def source(self, path: str, kind: str | list[str] = "File", **properties: Any) -> str:
        """Add a file of the repository as it is now and return its identifier."""
        absolute = self.contents.root / path
        return self.file(path, sha256_of(absolute), absolute.stat().st_size, kind, **properties)

    def recorded(self, path: str) -> str:
        """Add a file or folder as the records state it and return its identifier."""
        fact = self.contents.files[path]
        kind = "Dataset" if (self.contents.root / path).is_dir() else "File"
        return self.file(path, fact.sha256, fact.bytes, kind)

    def parameter(self, identifier: str, name: str, kind: str, description: str | None = None) -> str:
        """Add a formal parameter and return its identifier."""
        return self.add(
            identifier,
            "FormalParameter",
            name=name,
            additionalType=kind,
            description=description,
            conformsTo={"@id": f"{BIOSCHEMAS}FormalParameter/1.0-RELEASE"},
        )

    def instance(self, entity: str, parameter: str) -> None:
        """State that an entity is what a formal parameter stood for."""
        self.link(entity, "exampleOfWork", parameter)
        self.link(parameter, "workExample", entity)

    # --- people and software -------------------------------------------------------------------------------------

    def author(self, author: Author) -> str:
        """Add an author of CITATION.cff."""
        identifier = f"https://orcid.org/{author.orcid}" if author.orcid else f"#author/{quote(author.name)}"
        affiliation = None
        if author.affiliation:
            self.add(f"#organization/{quote(author.affiliation)}", "Organization", name=author.affiliation)
            affiliation = {"@id": f"#organization/{quote(author.affiliation)}"}
        return self.add(
            identifier, "Person" if author.person else "Organization", name=author.name, affiliation=affiliation
        )

    def operator(self, record: Record) -> str:
        """Add who ran a job: the login name that the record states; authors where it states none."""
        user = record.run.get("user")
        if not user:
            return self.author(self.citation.authors[0])
        return self.add(
            f"#login/{quote(user)}",
            "Person",
            name=user,
            description="Login name under which jobs ran, from the records.",
        )

    def software(self, name: str, version: str) -> str:
        """Add an installed distribution."""
        return self.add(
            f"#software/{quote(name)}-{quote(version)}",
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            identifier=f"pkg:pypi/{name.lower()}@{version}" if name != "Python" else None,
        )

    def tool(self, record: Record) -> str:
        """Add the program a job ran: a rule's script with everything it imports, in one version."""
        digest = record.content["code"]["digest"]
        identifier = f"#tool/{record.rule}/{digest[:12]}"
        if identifier in self.entities:
            return identifier
        environment = record.content["environment"]
        packages = [("Python", environment["python"]), *sorted(environment["distributions"].items())]
        code = []
        for name, entry in record.code_files.items():
            path = f"results/{record.cohort}/records/code/{entry['sha256']}"
            stored = self.contents.root / path
            size = stored.stat().st_size if stored.is_file() else 0
            code.append(
                self.file(
                    path,
                    entry["sha256"],
                    size,
                    ["File", "SoftwareSourceCode"],
                    name=name,
                    version=entry["sha256"][:12],
                    encodingFormat=media_type(name),
                )
            )
        return self.add(
            identifier,
            "SoftwareApplication",
            name=record.content["script"],
            description=self.described(record),
            softwareVersion=digest,
            hasPart=_refs(code),
            softwareRequirements=_refs(self.software(*each) for each in packages),
        )

    # --- jobs -----------------------------------------------------------------------------------------------------

    def ports(self, record: Record, tool: str) -> None:
        """Add the named inputs and outputs of a job and its parameters as formal parameters of its tool."""
        for direction in ("input", "output"):
            for name, value in sorted(record.content["names"].get(direction, {}).items()):
                paths = [path for path in _listed(value) if path in self.contents.files]
                if not paths or (direction == "output" and record.content["status"] != "finished"):
                    continue
                folder = (self.contents.root / paths[0]).is_dir()
                port = self.parameter(f"#port/{record.rule}/{direction}/{name}", name, "Dataset" if folder else "File")
                self.link(tool, direction, port)
                for path in paths:
                    self.instance(self.recorded(path), port)

    def values(self, record: Record, tool: str) -> list[str]:
        """Add the parameters of a job, its derived seed among them, and return their identifiers."""
        found = []
        for name, value in [*sorted(record.params.items()), ("seed of the job", record.content["seed"])]:
            text = value if isinstance(value, str) else canonical(value).decode()
            identifier = f"#value/{quote(name)}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
            self.add(identifier, "PropertyValue", name=name, value=text)
            port = self.parameter(f"#port/{record.rule}/parameter/{quote(name)}", name, "PropertyValue")
            self.link(tool, "input", port)
            self.instance(identifier, port)
            found.append(identifier)
        return found

    def usage(self, record: Record) -> list[str]:
        """Add what a job took and return the identifiers."""
        found = []
        for key, unit, unit_code, label in (
            ("seconds", "s", "http://qudt.org/vocab/unit/SEC", "Wall time"),
            ("peak_memory_mb", "MiB", "http://qudt.org/vocab/unit/MebiBYTE", "Peak memory"),
        ):
            if record.run.get(key) is not None:
                found.append(
                    self.add(
                        f"#usage/{quote(record.path)}/{key}",
                        "PropertyValue",
                        name=label,
                        propertyID=f"{TERMS}{key}",
                        unitCode=unit_code,
                        unitText=unit,
                        value=str(record.run[key]),
                    )
                )
        return found

    def job(self, record: Record) -> str:
        """Add one job and return the identifier of its action."""
        done = record.content["status"] == "finished"
        tool = self.tool(record)
        self.link(WORKFLOW, "hasPart", tool)
        step = self.step(record)
        self.link(step, "workExample", tool)
        self.ports(record, tool)
        values = self.values(record, tool)
        used = [self.recorded(entry["path"]) for entry in record.inputs if entry["path"] in self.contents.files]
        made = [self.recorded(entry["path"]) for entry in record.outputs]
        absolute = self.contents.root / record.path
        state = self.file(record.path, sha256_of(absolute), absolute.stat().st_size)
        status = f"http://schema.org/{'Completed' if done else 'Failed'}ActionStatus"
        action = self.add(
            f"#job/{quote(record.path)}",
            "CreateAction",
            name=record.title,
            description=self.described(record) or record.rule,
            identifier=f"sha256:{record.seal}" if "seal" in record.content else None,
            instrument={"@id": tool},
            agent={"@id": self.operator(record)},
            object=_refs([*used, *values]),
            result=_refs(made),
            startTime=record.run.get("started"),
            endTime=record.run.get("ended"),
            actionStatus=status,
            error=self.error(record),
            resourceUsage=_refs(self.usage(record)),
            subjectOf={"@id": state},
        )
        self.add(
            f"#control/{quote(record.path)}",
            "ControlAction",
            name=f"Snakemake starts {record.title}",
            instrument={"@id": step},
            object={"@id": action},
            actionStatus=status,
        )
        return action

    def error(self, record: Record) -> str | None:
        """Return why a job failed; its message may quote a patient's values and is given of open data only."""
        error = record.content.get("error")
        if error and self.contents.is_open(record.cohort):
            return f"{error['type']}: {error['message']}"
        return error["type"] if error else None

    def described(self, record: Record) -> str | None:
        """Return what the rule of a job is for."""
        return self.rules.get(record.content["script"])

    def step(self, record: Record) -> str:
        """Add the step of a job's rule."""
        rule = record.rule
        steps = self.entities[WORKFLOW].setdefault("step", [])
        identifier = f"#step/{rule}"
        if identifier not in self.entities:
            self.add(
                identifier,
                "HowToStep",
                name=rule,
                description=self.described(record),
                position=str(len(steps)),
            )
            self.link(WORKFLOW, "step", identifier)
        return identifier

    def connections(self) -> None:
        """Connect formal parameters through which a file passed from one step to the next."""
        records = self.contents.records
        ports: dict[tuple[str, str, str], str] = {}
        for record in records.values():
            for direction in ("input", "output"):
                for name, value in record.content["names"].get(direction, {}).items():
                    for path in _listed(value):
                        ports[record.path, direction, path] = f"#port/{record.rule}/{direction}/{name}"
        for record in records.values():
            for entry in record.inputs:
                maker = records.maker(entry["path"])
                target = ports.get((record.path, "input", entry["path"]))
                source = ports.get((maker.path, "output", entry["path"])) if maker else None
                if source in self.entities and target in self.entities:
                    identifier = f"#connection/{source[6:]}/{target[6:]}"
                    self.add(
                        identifier,
                        "ParameterConnection",
                        name=f"{source[6:]} to {target[6:]}",
                        sourceParameter={"@id": source},
                        targetParameter={"@id": target},
                    )
                    self.link(self.step(record), "connection", identifier)

    # --- the whole ------------------------------------------------------------------------------------------------

    def workflow(self) -> None:
        """Add the workflow with its configuration, inputs and outputs."""
        version = locked_version(self.contents.root, "snakemake")
        language = self.add(
            "https://w3id.org/workflowhub/workflow-ro-crate#snakemake",
            "ComputerLanguage",
            name="Snakemake",
            identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            url={"@id": "https://snakemake.github.io"},
            version=version,
        )
        self.source(
            WORKFLOW,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            name=self.citation.title,
            programmingLanguage={"@id": language},
            version=self.citation.version,
            license={"@id": self.licence()},
            creator=_refs(self.author(each) for each in self.citation.authors),
            conformsTo={"@id": f"{BIOSCHEMAS}ComputationalWorkflow/1.0-RELEASE"},
            encodingFormat="text/x-python",
        )

    def licence(self) -> str:
        """Add the licence of the code."""
        name = self.citation.licence
        return self.add(f"https://spdx.org/licenses/{name}", "CreativeWork", name=name, identifier=name)

    def runs(self) -> None:
        """Add each run of Snakemake that left one of these jobs: what it read, what it gave, which jobs it held."""
        contents = self.contents
        everything = [*contents.records.values(), *(Record(p, c) for p, c in contents.failed.items())]
        engine = self.add(
            "#engine/snakemake",
            "SoftwareApplication",
            name="Snakemake",
            softwareVersion=locked_version(contents.root, "snakemake"),
            url={"@id": "https://snakemake.github.io"},
        )
        config = [self.source(path) for path in contents.sources if path.startswith("config/")]
        port = self.parameter("#port/workflow/input/config", "config", "File", "Configuration and analysis plan")
        for each in config:
            self.instance(each, port)
        self.link(WORKFLOW, "input", port)
        final = {record.path for record in contents.final}
        by_run: dict[str, list[Record]] = {}
        for record in everything:
            by_run.setdefault(str(record.run.get("id", "unknown")), []).append(record)
        for name, members in sorted(by_run.items(), key=lambda item: min(str(r.run.get("started")) for r in item[1])):
            for record in sorted(members, key=lambda r: (str(r.run.get("started")), r.path)):
                self.job(record)
            used, made = [], []
            for record in members:
                for entry in record.inputs:
                    if entry["made_by"] is None and entry["path"] in contents.files:
                        used.append(self.recorded(entry["path"]))
                        top = entry["path"].split("/")[0]
                        port = self.parameter(f"#port/workflow/input/{quote(top)}", top, "File", f"Files of {top}/")
                        self.instance(used[-1], port)
                        self.link(WORKFLOW, "input", port)
                if record.path in final:
                    made.extend(self.recorded(entry["path"]) for entry in record.outputs)
                    outputs = record.content["names"].get("output", {})
                    ports = [f"#port/{record.rule}/output/{each}" for each in sorted(outputs)]
                    self.link(WORKFLOW, "output", *(each for each in ports if each in self.entities))
            started = sorted(str(r.run["started"]) for r in members if r.run.get("started"))
            ended = sorted(str(r.run["ended"]) for r in members if r.run.get("ended"))
            whole = self.add(
                f"#run/{quote(name)}",
                "CreateAction",
                name=f"Run {name} of the workflow",
                description=f"{len(members)} of the jobs described here ran in it.",
                instrument={"@id": WORKFLOW},
                agent={"@id": self.operator(members[0])},
                object=_refs([*used, *config]),
                result=_refs(made),
                startTime=started[0] if started else None,
                endTime=ended[-1] if ended else None,
                actionStatus="http://schema.org/CompletedActionStatus",
            )
            self.add(
                f"#organize/{quote(name)}",
                "OrganizeAction",
                name=f"Snakemake conducts run {name}",
                instrument={"@id": engine},
                object=_refs(f"#control/{quote(record.path)}" for record in members),
                result={"@id": whole},
            )

    def build(self) -> ROCrate:
        """Return the crate."""
        contents = self.contents
        self.workflow()
        self.runs()
        self.connections()
        for path in [*contents.sources, *contents.run_logs]:
            if path not in (WORKFLOW, "README.md") and (self.carried(path) or path in contents.run_logs):
                self.source(path)
        self.source("README.md", about={"@id": "./"})
        return self.library()

    def library(self) -> ROCrate:
        """Hand everything to the library."""
        from rocrate.model.contextentity import ContextEntity
        from rocrate.rocrate import ROCrate

        contents = self.contents
        synthetic = [name for name, config in contents.configs.items() if config.synthetic]
        crate = ROCrate(version="1.1")
        crate.metadata.extra_terms.update(EXTRA_TERMS)
        crate.metadata["conformsTo"] = _refs(
            ["https://w3id.org/ro/crate/1.1", "https://w3id.org/workflowhub/workflow-ro-crate/1.0"]
        )
        for identifier, (name, version) in PROFILES.items():
            self.add(identifier, "CreativeWork", name=name, version=version)
        root = crate.root_dataset
        root["name"] = f"{self.citation.title} ({contents.cohort})"
        root["description"] = (
            f"How the paper on the cohort {contents.cohort} was made: {len(contents.records)} jobs, their inputs, "
            "outputs, code, parameters and environment. "
            + (f"Made from synthetic data: {', '.join(synthetic)}. " if synthetic else "")
            + "Files under identifiers that begin with # are not carried here; they are known by sha256 and size."
        )
        root["datePublished"] = self.publication_date
        root["license"] = {"@id": self.licence()}
        authors = _refs(self.author(each) for each in self.citation.authors)
        root["author"] = authors if len(authors) > 1 else authors[0]
        root["keywords"] = list(self.citation.keywords)
        root["conformsTo"] = _refs(PROFILES)
        root["mentions"] = _refs(
            key for key, value in self.entities.items() if value["@type"] in ("CreateAction", "OrganizeAction")
        )
        root["mainEntity"] = {"@id": WORKFLOW}
        for identifier, collected in sorted(self.entities.items()):
            properties = {
                key: value[0] if isinstance(value, list) and len(value) == 1 else value
                for key, value in collected.items()
            }
            if identifier in self.data and self.carried(self.data[identifier]):
                source = contents.root / self.data[identifier]
                adding = crate.add_dataset if properties["@type"] == "Dataset" else crate.add_file
                entity = adding(source, self.data[identifier])
                entity._jsonld.update(properties)  # its identifier is the library's own, made from the path
            else:
                entity = crate.add(ContextEntity(crate, identifier, properties=properties))
        root["hasPart"] = _refs(sorted(self.data))
        return crate


def describe(contents: Contents, carried: Callable[[str], bool], publication_date: str) -> ROCrate:
    """Return the crate of a paper's records.

    Parameters
    ----------
    contents : Contents
        What the records name.
    carried : callable
        Says of a path whether the crate holds the file; the others get local identifiers.
    publication_date : str
        ISO date.

    Raises
    ------
    ExportError
        If CITATION.cff or a file of the repository is missing.
    """
    return _Description(contents, carried, publication_date).build()


def in_folder(contents: Contents) -> Callable[[str], bool]:
    """Return which files the crate's folder holds: the sources of the workflow, and the records."""

    def carried(path: str) -> bool:
        if contents.is_private(path):
            return False
        if path in contents.records or path in contents.failed or path in contents.run_logs:
            return True
        return "/" not in path or path.startswith(IN_FOLDER)

    return carried


def write_crate(contents: Contents, destination: Path, publication_date: str) -> None:
    """Write the crate's folder: ``ro-crate-metadata.json``, the sources of the workflow, records and PROV."""
    from sorafenib_rfa.export.prov_document import prov_document

    crate = describe(contents, in_folder(contents), publication_date)
    text = prov_document(contents).serialize(format="json", indent=1)
    destination.mkdir(parents=True, exist_ok=True)
    (destination / PROV).write_text(f"{text}\n", encoding="utf-8")
    crate.add_file(
        destination / PROV,
        PROV,
        properties={
            "name": "The same in W3C PROV-JSON, with the numbers of the text",
            "encodingFormat": "application/json",
            "sha256": sha256_of(destination / PROV),
            "contentSize": str((destination / PROV).stat().st_size),
        },
    )
    crate.write(destination)


PROV: Final = "prov.json"
