"""``safelight provenance``: the certificate chain that signs files, and checking a file (C2PA)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from safelight.cli.options import AsJson, DataDir
from safelight.cli.show import cell, print_json
from safelight.domain.errors import ConfigurationError
from safelight.media.provenance import ProvenanceReport
from safelight.media.provenance import verify as verify_file
from safelight.node.certificates import CHAIN, ROOT, init_provenance, read
from safelight.node.chain import certificate_expiry
from safelight.node.settings import load_settings


def init(*, data_dir: DataDir = None) -> None:
    """Make a root and a signing certificate of your own, if there are none."""
    folder = load_settings(data_dir=data_dir).provenance_folder
    made = init_provenance(folder)
    print(f"Made a chain in {folder}." if made else f"There is a chain in {folder} already.")


def show(*, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the chain that signs, and until when."""
    settings = load_settings(data_dir=data_dir)
    folder = settings.provenance_folder
    facts = {
        "signing": settings.provenance,
        "folder": str(folder),
        "expires": certificate_expiry(read(folder / CHAIN)).isoformat(),
        "root": str(folder / ROOT),
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        print(f"{name:8} {cell(value)}")


def verify(
    file: Annotated[Path, Parameter(help="A PNG, JPEG, WebP or MP4.")],
    /,
    *,
    root: Annotated[Path | None, Parameter(help="Root certificate to trust (PEM). Without it: your own.")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> int:
    """Check a file's provenance. The exit status is 0 only if it is signed, unchanged and trusted."""
    if not file.is_file():
        raise ConfigurationError(f"There is no file {file}.")
    report = verify_file(file, read(root or load_settings(data_dir=data_dir).provenance_folder / ROOT))
    if as_json:
        print_json(report)
    else:
        _print(report)
    return 0 if report.trusted else 1


def _print(report: ProvenanceReport) -> None:
    if not report.present:
        print("no provenance")
    elif not report.valid:
        print("not valid: the file or its manifest was changed")
    else:
        print("trusted" if report.trusted else "valid, but not under this root")
    facts = {
        "made by": report.generator,
        "model": report.model,
        "source": report.digital_source_type,
        "issuer": report.issuer,
    }
    for name, value in facts.items():
        if value:
            print(f"{name:8} {cell(value)}")
    for problem in report.problems:
        print(f"problem  {cell(problem)}")
