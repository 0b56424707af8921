"""Which versions of the models the configured files hold: artifacts, and plans made for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from isthmus.configuration import ModelConfiguration
from isthmus.doctor.finding import Finding, fail
from isthmus.doctor.version_checks import ModelClaim
from isthmus.errors import InvalidModel, InvalidPlan
from partitioner.artifact import artifact_digest, artifact_name, is_artifact
from partitioner.plan import Plan

__all__ = ["check_files", "file_claims"]


def file_claims(models: Sequence[ModelConfiguration], folder: Path) -> Iterator[ModelClaim]:
    """Of what can be read without exporting a model anew; files that cannot are `check_files`' to tell."""
    for model in models:
        for who, digest in _digests(model, folder):
            if isinstance(digest, str):
                yield ModelClaim(who, model.name, digest)


def check_files(models: Sequence[ModelConfiguration], folder: Path) -> Iterator[Finding]:
    """Those that are missing, or not what they should be."""
    for model in models:
        for who, fault in _digests(model, folder):
            if isinstance(fault, Exception):
                remedy = "make it anew with `isthmus import` or `isthmus partition`, or correct the path"
                yield fail(f"model {model.name}", f"{who}: {fault}", remedy)


def _digests(model: ModelConfiguration, folder: Path) -> Iterator[tuple[str, str | Exception]]:
    """What each file says, or why it says nothing."""
    source = _found(model.source, folder)
    if source is not None and is_artifact(source):
        try:
            if artifact_name(source) == model.name:  # under another name its digest is another one, too
                yield "artifact", artifact_digest(source)
        except InvalidModel as error:
            yield "artifact", error
    for name in model.plans:
        try:
            yield f"plan {name}", Plan.from_json((_found(name, folder) or Path(name)).read_text()).model_digest
        except (InvalidPlan, OSError, ValueError) as error:
            yield f"plan {name}", error


def _found(name: str, folder: Path) -> Path | None:
    return next((base / name for base in (Path.cwd(), folder) if (base / name).exists()), None)
