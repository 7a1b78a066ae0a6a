"""``sorafenib-rfa attest``: a verification as an in-toto statement, signed if a key is given."""

from __future__ import annotations

from pathlib import Path

import click

from sorafenib_rfa.cli.terminal import BAD, GOOD, NOTE, Terminal, counted, question
from sorafenib_rfa.errors import Problem

STYLES = {"PASSED": GOOD, "WARNED": NOTE, "FAILED": BAD}


@click.command(short_help="Make a statement of a verification that can be signed.")
@click.argument("verification", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("attestation.json"),
    show_default=True,
    help="Where the statement goes.",
)
@click.option(
    "--sign", "key", type=click.Path(path_type=Path), help="Sign it with this SSH key; the signature is OUTPUT.sig."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the draft of a CODECHECK certificate with the verdict.",
)
@click.option("--cohort", help="Whose paper was verified; default: the one of config/config.yaml.")
@question
def command(
    terminal: Terminal,
    verification: Path,
    output: Path,
    key: Path | None,
    certificate: Path | None,
    cohort: str | None,
) -> int:
    r"""State what a verification found, as an in-toto statement (test-result).

    VERIFICATION is what `sorafenib-rfa verify --json` printed. The statement names the results with their sha256,
    everything the verification rested on, and the verdict. Who receives it checks a signature with

    \b
      ssh-keygen -Y verify -f ALLOWED_SIGNERS -I WHO -n sorafenib-rfa -s OUTPUT.sig < OUTPUT

    Exit code 1 if the verification had failed.
    """
    from sorafenib_rfa.config.load import load_cohort, load_study
    from sorafenib_rfa.export.contents import read_contents
    from sorafenib_rfa.export.errors import ExportError
    from sorafenib_rfa.export.in_toto import read_verification, sign, write_statement

    study = load_study(terminal.root)
    chosen = cohort or study.run.cohorts[0]
    paper = f"results/{chosen}/manuscript/paper.html"
    if not (terminal.root / paper).is_file():
        raise ExportError(Problem("there is no paper to speak of", file=paper, hint="run make paper"))
    stories = [
        f"results/{name}/notebooks/{notebook}.html"
        for name in dict.fromkeys([chosen, *study.run.supplement_cohorts])
        for notebook in load_cohort(terminal.root, name).config.notebooks
    ]
    results = [paper, *(path for path in stories if (terminal.root / path).is_file())]
    contents = read_contents(terminal.root, chosen, results)
    made = write_statement(contents, verification, output)
    signature = sign(output, key) if key is not None else None
    if certificate is not None:
        from sorafenib_rfa.paperwork.write import write_certificate

        write_certificate(contents, read_verification(verification), certificate)
    result = made["predicate"]["result"]
    if terminal.as_json:
        terminal.json(
            {
                "result": result,
                "statement": str(output),
                "signature": str(signature) if signature else None,
                "certificate": str(certificate) if certificate else None,
                "subjects": made["subject"],
            }
        )
    else:
        terminal.line((result, STYLES[result]))
        subjects, materials = made["subject"], made["predicate"]["configuration"]
        terminal.pairs(
            [
                ("about", counted(len(subjects), "file")),
                ("rests on", counted(len(materials), "file")),
                ("statement", str(output)),
                ("signature", str(signature) if signature else "none: --sign KEY makes one"),
                ("certificate", str(certificate) if certificate else ""),
            ]
        )
    return 1 if result == "FAILED" else 0
