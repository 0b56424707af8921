"""The configured models as artifacts: exported once, kept by digest; a file is exported anew when it has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from isthmus.cache_folder import cache_folder
from isthmus.configuration import ModelConfiguration
from isthmus.errors import InvalidConfiguration, InvalidModel
from isthmus.telemetry import get_logger
from isthmus.version import VERSION
from nodes.fact_cache import FactCache
from nodes.settings import ModelArtifact
from partitioner.artifact import artifact_digest, artifact_name, is_artifact, load_artifact, save_artifact
from partitioner.model import Model
from partitioner.model_source import resolve_model
from partitioner.plan import Plan

__all__ = ["check_on_every_node", "export_models"]

Progress = Callable[[str], None]
_LIBRARIES = ("torch", "onnx", "onnxruntime", "onnxscript")
# The key without which an ONNX tensor's data is in the file itself.
_EXTERNAL_DATA = b"location"


def export_models(
    models: tuple[ModelConfiguration, ...], folder: Path, progress: Progress
) -> tuple[ModelArtifact, ...]:
    """Each model as an artifact, exported in this process: nodes get data and never import user code.

    folder: where the configuration lies; sources are looked up there and in the current directory. A file that was
    exported before is not exported again; a factory is called each time, since only that shows what it makes.
    """
    return tuple(_with_versions(model, folder, progress) for model in models)


def _with_versions(model: ModelConfiguration, folder: Path, progress: Progress) -> ModelArtifact:
    """Two sources that make one version are served once."""
    current = _export(model, folder, progress)
    others = (
        _export(model.model_copy(update={"source": one, "plans": ()}), folder, progress) for one in model.versions
    )
    distinct = {artifact_digest(one.path): one.folder for one in others}
    distinct.pop(artifact_digest(current.path), None)
    return replace(current, others=tuple(distinct.values()))


def _export(model: ModelConfiguration, folder: Path, progress: Progress) -> ModelArtifact:
    for base in (Path.cwd(), folder):
        if is_artifact(base / model.source) and (found := load_artifact(base / model.source)).name == model.name:
            return ModelArtifact(model.name, str((base / model.source).resolve()), _plans(model, found.digest, folder))
    facts, exported = _file_facts(model, folder), FactCache(cache_folder("exported"))
    known = exported.find(facts) if facts else None
    if known and (kept := _intact(Path(known))) is not None and kept.name == model.name:
        return ModelArtifact(model.name, known, _plans(model, kept.digest, folder))
    progress(f"exporting {model.name} from {model.source}")
    made = resolve_model(model.source, search_path=folder, name=model.name)
    if made.name != model.name:  # a digest covers the name: an artifact is what is served, under the name it has here
        made = made.renamed(model.name)
    target = cache_folder("artifacts") / f"{model.name}-{made.digest[:16]}"
    if _intact(target) is None:
        save_artifact(made, target)
    if facts:
        exported.keep(facts, str(target))
    return ModelArtifact(model.name, str(target), _plans(model, made.digest, folder))


def _intact(artifact: Path) -> Model | None:
    """The model in a folder of the cache; None, with a warning where there is something, if it cannot be used."""
    try:
        return load_artifact(artifact) if is_artifact(artifact) else None
    except InvalidModel as error:
        get_logger("launcher").warning("damaged artifact made anew", reason=str(error))
        return None


def _file_facts(model: ModelConfiguration, folder: Path) -> Mapping[str, object]:
    """What the export of a file depends on; empty for what is none, or may be more than one file."""
    path = _file(model.source, folder)
    contents = b"" if path is None else path.read_bytes()
    if path is None or (path.suffix == ".onnx" and _EXTERNAL_DATA in contents):
        return {}
    libraries = {name: version(name) for name in _LIBRARIES}
    digest = hashlib.sha256(contents).hexdigest()
    return {"sha256": digest, "suffix": path.suffix, "name": model.name, "package": VERSION, "libraries": libraries}


def _plans(model: ModelConfiguration, digest: str, folder: Path) -> tuple[str, ...]:
    """The texts of the model's plan files, found as sources are. Raises InvalidConfiguration, InvalidPlan."""
    texts = []
    for name in model.plans:
        path = _file(name, folder)
        if path is None:
            remedy = "write one with `isthmus partition -o`"
            raise InvalidConfiguration(f"models.{model.name}.plans", "is no file", value=name, remedy=remedy)
        texts.append(path.read_text(encoding="utf-8"))
        if (plan := Plan.from_json(texts[-1])).model_digest != digest:
            remedy = f"make it with `isthmus partition` from the same source; it says {plan.model!r}: serve it as that"
            raise InvalidConfiguration(
                f"models.{model.name}.plans", "is a plan of another model", value=name, remedy=remedy
            )
    return tuple(texts)


def _file(name: str, folder: Path) -> Path | None:
    """Looked up where sources are, None where it is no file."""
    return next((base / name for base in (Path.cwd(), folder) if (base / name).is_file()), None)


def check_on_every_node(model: ModelConfiguration) -> None:
    """For nodes elsewhere: an export would lie on this machine alone. Raises InvalidConfiguration, InvalidModel."""
    for key, source in (("source", model.source), *(("versions", one) for one in model.versions)):
        if not (Path(source).is_absolute() and is_artifact(Path(source))):
            remedy = "name the absolute path of an artifact that every node has (`isthmus import`)"
            raise InvalidConfiguration(
                f"models.{model.name}.{key}", "is not an artifact's folder", value=source, remedy=remedy
            )
        if (named := artifact_name(source)) != model.name:  # under another name it is another model, made here
            remedy = f"serve it as {named!r}, or make it of a file that is called {model.name}"
            raise InvalidConfiguration(
                f"models.{model.name}.{key}", f"is the artifact of {named!r}", value=source, remedy=remedy
            )
