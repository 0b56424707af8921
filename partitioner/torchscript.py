"""TorchScript files become models: converted where they are straight-line, traced where they branch."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.jit._pickle import restore_type_tag

from isthmus.errors import InvalidModel
from partitioner.front_end import check_same, model_from_module, run_module
from partitioner.script_branches import ScriptBranch, script_branches
from partitioner.spec import ModelSpec
from partitioner.torch_export import check_examples, with_batch
from partitioner.torch_model import TorchModel
from partitioner.torchscript_scan import scanned_torchscript

__all__ = ["load_script", "model_from_torchscript", "traced_module"]

_CHECKED_BATCHES = (1, 2, 5)
_MOST_EXAMPLE_BYTES = 256 << 20
"""Of the inputs that a file states shapes of: a picture of 4,000 x 4,000 pixels takes 192 MB. A shape in a file costs
nothing (its strides may be 0), what is made of it is held several times."""
_NOISE_BYTES = 4  # of one number, while it is made as float32
_EXAMPLES = "give example inputs (--example 1x3x224x224)"
_BRANCH_REMEDY = (
    "write it with torch.where, or give the modules on one side of it as a model of their own (module:callable)"
)
_REMEDY = "export the module it was made of with torch.export.save, or give a factory module:callable"


def model_from_torchscript(path: str | Path, example_inputs: tuple[Tensor, ...] = (), name: str = "") -> TorchModel:
    """A TorchModel of a file that torch.jit.save wrote, scanned for what a model may not do before torch opens it.

    example_inputs: batch first; a traced file holds its own. Branches are taken as they go for every batch tried, and a
    module that keeps state or whose branches depend on values is refused. Raises InvalidModel naming cause and remedy.
    """
    file = Path(path)
    archive = scanned_torchscript(file)
    script = _loaded(file, archive)
    branches = script_branches(script)  # now: running it or converting it puts all into one graph
    examples = tuple(example_inputs) or _traced_inputs(file, archive)
    if not examples:
        remedy = f"{_EXAMPLES}, or save a traced module, which holds its own"
        raise InvalidModel(str(file), "says nothing of its inputs' shapes", remedy=remedy)
    check_examples(examples)
    _check_stateless(file, script, examples)
    found: list[str] = []
    for convert in (_converted, traced_module):
        try:
            module = convert(script, with_batch(examples, 2))
            model = model_from_module(_spec(file, module, script, examples, name))
            for batch in _CHECKED_BATCHES:  # the file itself is the judge
                check_same(model, with_batch(examples, batch), run_module(script, with_batch(examples, batch)))
            return model
        except InvalidModel as error:
            found.append(str(error))
        except Exception as error:  # the converters raise whatever their internals raise
            found.append(f"{type(error).__name__}: {_first_line(error)}")
    raise _refusal(file, branches, found[0])


def load_script(path: Path) -> torch.jit.ScriptModule:
    """The module in a scanned file, on the CPU, in inference mode. Raises InvalidModel."""
    return _loaded(path, scanned_torchscript(path))


def _loaded(path: Path, archive: io.BytesIO) -> torch.jit.ScriptModule:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded: torch.jit.ScriptModule = torch.jit.load(archive, map_location="cpu").eval()  # type: ignore[no-untyped-call]
    except Exception as error:  # whatever a damaged archive provokes inside torch
        raise InvalidModel(str(path), f"torch cannot load it: {_first_line(error)}", remedy="save it again") from error
    return loaded


def traced_module(function: Callable[..., Any], examples: tuple[Tensor, ...]) -> fx.GraphModule:
    """What `function` does with these tensors (batch 2 or more), as a graph in which sizes stay symbols.

    TorchScript's interpreter calls torch's dispatcher, where each operator is recorded. Control flow goes as the
    examples take it, so the result must be compared with `function` at other batches.
    """
    tracer = make_fx(lambda *tensors: function(*tensors), tracing_mode="symbolic", _allow_non_fake_inputs=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return tracer(*examples)


def _converted(script: torch.jit.ScriptModule, examples: tuple[Tensor, ...]) -> nn.Module:
    from torch._export.converter import TS2EPConverter

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        # All its dimensions are dynamic; the export of this module then fixes all but the batch.
        return TS2EPConverter(script, examples).convert().module()


def _spec(
    file: Path, module: nn.Module, script: torch.jit.ScriptModule, examples: tuple[Tensor, ...], name: str
) -> ModelSpec:
    inputs = tuple(a.name for a in script._c._get_method("forward").schema.arguments[1 : 1 + len(examples)])
    return ModelSpec(module, examples, name=name or file.stem, input_names=inputs)


def _traced_inputs(file: Path, archive: io.BytesIO) -> tuple[Tensor, ...]:
    """Inputs of the shapes and dtypes that a traced module was traced with: its file holds them without their data.

    Empty where it holds none, as torch before 2.13 and scripted modules leave it. Raises InvalidModel where they would
    be larger than examples may be.
    """
    held = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(held, "w") as made:
        for name in source.namelist():
            root, _, inside = name.partition("/")
            if inside.startswith(("traced_inputs", "version", "byteorder")):
                # Under the names by which torch.load looks for its own.
                made.writestr(f"{root}/{inside.replace('traced_inputs', 'data')}", source.read(name))
    held.seek(0)
    try:
        with torch.serialization.safe_globals([restore_type_tag]), torch.serialization.skip_data():
            inputs = torch.load(held, weights_only=True, map_location="cpu")["forward"]
    except Exception:  # whatever damaged data provokes inside torch: then the file tells nothing
        return ()
    given = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
    if not all(isinstance(value, Tensor) for value in given):
        return ()
    stated = sum(value.numel() * max(value.element_size(), _NOISE_BYTES) for value in given)
    if stated > _MOST_EXAMPLE_BYTES:
        problem = f"states inputs of {stated} bytes, more than {_MOST_EXAMPLE_BYTES}"
        raise InvalidModel(str(file), problem, value=[list(value.shape) for value in given], remedy=_EXAMPLES)
    try:
        return tuple(map(_made_up, given))
    except Exception:  # a dtype or a layout that takes no noise: then the file tells nothing, either
        return ()


def _made_up(like: Tensor) -> Tensor:
    """Noise, or zeros where integers are meant: a valid index everywhere."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(like.shape, generator=generator) if like.is_floating_point() else torch.zeros(like.shape)
    return noise.to(like.dtype)


def _check_stateless(file: Path, script: torch.jit.ScriptModule, examples: tuple[Tensor, ...]) -> None:
    """Raise InvalidModel when running the module changes what it holds, or it does not run."""
    before = {name: tensor.clone() for name, tensor in script.state_dict().items()}
    try:
        with torch.no_grad():
            script(*(e.clone() for e in examples))
    except Exception as error:  # the file's own code
        problem = f"fails on its example inputs: {_first_line(error)}"
        raise InvalidModel(str(file), problem, remedy="give inputs that it takes, batch first") from error
    after = script.state_dict()
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    if changed:
        raise InvalidModel(str(file), f"keeps state in {changed[0]!r}", remedy="make state an input and an output")


def _refusal(file: Path, branches: Sequence[ScriptBranch], first_error: str) -> InvalidModel:
    """The control flow that stands in the way, named where there is some."""
    if not branches:
        return InvalidModel(str(file), f"cannot be exported: {first_error}", remedy=_REMEDY)
    more = f" and {len(branches) - 1} more" if len(branches) > 1 else ""
    decided = "that values decide" if branches[0].on_values else "that could not be traced"
    problem = f"cannot be exported: it has control flow {decided}, {branches[0]}{more}"
    return InvalidModel(str(file), problem, remedy=_BRANCH_REMEDY)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:300]
