"""TorchScript files: straight lines are converted, branches are traced, anything that reaches outside is refused."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from isthmus.errors import InvalidModel
from partitioner.model_source import resolve_model
from partitioner.script_branches import script_branches
from partitioner.torchscript import load_script, model_from_torchscript
from partitioner.torchscript_scan import scanned_torchscript


class Line(nn.Module):
    """Two layers without a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        seen = F.relu(self.conv(picture)).mean((2, 3))
        return seen, self.head(seen)


class Branches(nn.Module):
    """A branch on a fixed size, an exception on the other side."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] != 6:
            raise ValueError("six, please")
        y: Tensor = self.line(x)
        for _ in range(3):
            y = y.tanh() + x
        return y


class DataBranch(nn.Module):
    """A branch on what is in the tensor."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if bool(x.sum() > 0) else x - 1


class Counter(nn.Module):
    """Counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Tensor
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x * self.calls


class Writes(nn.Module):
    """Writes a file when it runs."""

    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "written")
        return x


def saved(path: Path, script: Any) -> Path:
    torch.jit.save(script, path)
    return path


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A traced file; it tells its input's shape."""
    torch.manual_seed(0)
    return saved(tmp_path / "line.pt", torch.jit.trace(Line().eval(), torch.randn(1, 3, 8, 8)))  # type: ignore[no-untyped-call]


def check_every_prefix(path: Path, inputs: Callable[[int], Tensor], examples: tuple[Tensor, ...] = ()) -> None:
    model, script = model_from_torchscript(path, examples), load_script(path)
    ops = [op.name for op in model.graph.ops]
    for batch in (1, 2, 3, 7):
        value = inputs(batch)
        with torch.inference_mode():
            whole = script(value)
            expected = whole if isinstance(whole, tuple) else (whole,)
            for count in range(len(ops) + 1):
                segments = model.split(ops[:count])
                found = segments.suffix(*segments.prefix(value))
                assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_traced_file_needs_no_examples_and_keeps_bits(line: Path) -> None:
    check_every_prefix(line, lambda batch: torch.randn(batch, 3, 8, 8))


def test_a_scripted_file_with_examples_keeps_bits(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(Line().eval()))
    check_every_prefix(path, lambda batch: torch.randn(batch, 3, 8, 8), (torch.randn(1, 3, 8, 8),))


def test_branches_that_no_value_decides_are_traced_and_keep_bits(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(Branches().eval()))
    check_every_prefix(path, lambda batch: torch.randn(batch, 6), (torch.randn(1, 6),))


def test_inputs_are_named_as_in_the_file(line: Path) -> None:
    assert model_from_torchscript(line).graph.inputs == ("picture",)


def test_a_source_is_told_by_its_contents(line: Path) -> None:
    other = line.rename(line.with_suffix(".bin"))
    assert resolve_model(other).name == "line"


def test_without_shapes_the_remedy_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(Line().eval()))
    with pytest.raises(InvalidModel, match="--example"):
        model_from_torchscript(path)


class First(nn.Module):
    """The first of however many."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :1] + 1


@pytest.mark.parametrize("items", [1 << 27, 1 << 40])
def test_inputs_of_a_size_that_only_a_file_can_have_are_refused(tmp_path: Path, items: int) -> None:
    """Its strides are 0, so that the file is as short as any."""
    wide = torch.zeros(1, 1).expand(1, items)
    path = saved(tmp_path / "a.pt", torch.jit.trace(First(), wide, check_trace=False))  # type: ignore[no-untyped-call]
    with pytest.raises(InvalidModel, match=rf"states inputs of {4 * items} bytes.*--example"):
        model_from_torchscript(path)


def test_examples_that_are_given_go_before_those_that_a_file_states(tmp_path: Path) -> None:
    wide = torch.zeros(1, 1).expand(1, 1 << 40)
    path = saved(tmp_path / "a.pt", torch.jit.trace(First(), wide, check_trace=False))  # type: ignore[no-untyped-call]
    assert model_from_torchscript(path, (torch.randn(1, 6),)).graph.inputs == ("x",)


class Zeros(nn.Module):
    """Zeros, whatever the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x, dtype=torch.uint8)


def test_inputs_of_a_dtype_that_takes_no_noise_are_as_good_as_none(tmp_path: Path) -> None:
    odd = torch.zeros(2, 4, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)
    path = saved(tmp_path / "a.pt", torch.jit.trace(Zeros(), odd, check_trace=False))  # type: ignore[no-untyped-call]
    with pytest.raises(InvalidModel, match="says nothing of its inputs' shapes"):
        model_from_torchscript(path)


def test_examples_that_do_not_fit_are_refused(line: Path) -> None:
    with pytest.raises(InvalidModel, match="fails on its example inputs"):
        model_from_torchscript(line, (torch.randn(1, 5, 8, 8),))


def test_a_branch_on_data_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(DataBranch()))
    with pytest.raises(InvalidModel, match="prim::If"):
        model_from_torchscript(path, (torch.randn(2, 3),))


class Repeats(nn.Module):
    """A method that branches on data, and a loop that data ends, beside a branch on a fixed size."""

    def pick(self, x: Tensor) -> Tensor:
        return x + 1 if bool(x.sum() > 0) else x - 1

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1] == 6:
            x = self.pick(x)
        for _ in range(int(x.abs().max())):
            x = x.tanh()
        return x


def test_the_module_and_the_line_that_branch_are_named(tmp_path: Path) -> None:
    chain = nn.Sequential(Branches(), nn.Linear(6, 6), Repeats(), nn.Linear(6, 6))
    path = saved(tmp_path / "a.pt", torch.jit.script(chain.eval()))
    with pytest.raises(InvalidModel, match=r"torch\.where") as caught:
        model_from_torchscript(path, (torch.randn(2, 6),))
    said = str(caught.value)
    assert "control flow that values decide, prim::" in said
    assert "in module '2': " in said
    assert " and 1 more" in said
    assert "\n" not in said


def test_branches_that_values_decide_are_told_from_others() -> None:
    chain = torch.jit.script(nn.Sequential(Branches(), Repeats()).eval())
    found = {(one.kind, one.module, one.statement.split("(")[0].split()[0]) for one in script_branches(chain)}
    assert found == {("prim::If", "1", "return"), ("prim::Loop", "1", "for")}
    quiet = torch.jit.script(nn.Sequential(Branches()).eval())
    assert {(one.kind, one.module, one.on_values) for one in script_branches(quiet)} == {
        ("prim::If", "0", False),
        ("prim::Loop", "0", False),
    }


def test_state_is_refused_by_name(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(Counter()))
    with pytest.raises(InvalidModel, match="'calls'"):
        model_from_torchscript(path, (torch.randn(2, 3),))


def test_an_operator_that_writes_files_is_refused_unrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path / "a.pt", torch.jit.script(Writes()))
    with pytest.raises(InvalidModel, match=r"torch\.save"):
        model_from_torchscript(path, (torch.randn(2, 3),))
    assert not Path("written").exists()


class Executes:
    """Pickles to a call that leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def doctored(source: Path, entry: str, change: Callable[[bytes], bytes]) -> Path:
    """A copy with the entries of that ending changed."""
    target = source.with_name("bad.pt")
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as made:
        for name in archive.namelist():
            content = archive.read(name)
            made.writestr(name, change(content) if name.endswith(entry) else content)
    return target


@pytest.mark.parametrize("entry", ["/data.pkl", "/constants.pkl", "/traced_inputs.pkl"])
@pytest.mark.parametrize("protocol", [2, 4])
def test_pickles_that_name_python_objects_are_refused_unrun(
    line: Path, tmp_path: Path, entry: str, protocol: int
) -> None:
    mark = tmp_path / "ran"
    bad = doctored(line, entry, lambda _: pickle.dumps(Executes(mark), protocol))
    with pytest.raises(InvalidModel, match=entry.removeprefix("/")):
        model_from_torchscript(bad)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\n", "imports"),
        ("def f(x: Tensor) -> Tensor:\n  return ops.image.read_file(x)\n", "ops.image"),
        ("def f(x: Tensor) -> Tensor:\n  return torch.from_file('a', False, 3)\n", "torch.from_file"),
        ("def f(x: Tensor) -> Tensor:\n  return torch.as_strided(x, [9], [9])\n", "torch.as_strided"),
        (
            "def f(x: Tensor) -> Tensor:\n  return torch._sparse_coo_tensor_unsafe(x, x, [9])\n",
            "torch._sparse_coo_tensor_unsafe",
        ),
        (
            "def f(x: Tensor) -> Tensor:\n  return torch._sparse_csr_tensor_unsafe(x, x, x, [9])\n",
            "torch._sparse_csr_tensor_unsafe",
        ),
        ("def f(x: Tensor) -> Tensor:\n  return torch._to_dense(x)\n", "torch._to_dense"),
        (
            "def f(x: Tensor) -> Tensor:\n  return torch._nested_view_from_buffer(x, x, x, x)\n",
            "torch._nested_view_from_buffer",
        ),
        ("def f(x: Tensor) -> Tensor:\n  return torch._unsafe_index_put(x, [x], x)\n", "torch._unsafe_index_put"),
        (
            "def f(x: Tensor) -> Tensor:\n  return ops.aten._unsafe_masked_index_put_accumulate(x, x, [x], x)\n",
            "ops.aten._unsafe_masked",
        ),
        (
            "def f(x: Tensor) -> Tensor:\n  return torch.as_strided_scatter(x, x, [9], [9])\n",
            "torch.as_strided_scatter",
        ),
        ("def f(x: Tensor) -> Tensor:\n  return torch.as_strided_(x, [9], [9])\n", "torch.as_strided_"),
        ("def f(x: Tensor) -> Tensor:\n  return torch.empty_strided([9], [9])\n", "torch.empty_strided"),
        ("def f(x: Tensor) -> Tensor:\n  return torch.resize_(x, [9])\n", "torch.resize_"),
        ("def f(x: Tensor) -> Tensor:\n  return x.as_strided([9], [9])\n", "operator as_strided"),
        ("def f(x: Tensor) -> Tensor:\n  return [x][0].as_strided([9], [9])\n", "operator as_strided"),
        ('def f(x: Tensor) -> Tensor:\n  return getattr(x, "as_strided")([9], [9])\n', "operator as_strided"),
        (
            'def f(x: Tensor) -> Tensor:\n  return getattr(torch, "as_strided")(x, [9], [9])\n',
            "torch as a value|operator as_strided",
        ),
        ("def f(x: Tensor) -> Tensor:\n  return x.set_(x)\n", "operator set_"),
        ("def f(x: Tensor) -> Tensor:\n  return ops.prim.rpc_sync(x)\n", "ops.prim.rpc_sync"),
        ("def f(x: Tensor) -> Tensor:\n  t = torch\n  return t.relu(x)\n", "as a value"),
        ("def f(x: Tensor) -> Tensor:\n  o = ops\n  return o.aten.relu(x)\n", "as a value"),
        ("def f(x: Tensor) -> Tensor:\n  o = ops.aten\n  return o.relu(x)\n", "as a value"),
        ("def f(x: Tensor) -> Tensor:\n  return torch.os.system(x)\n", "torch.os"),
        ("def f(x: __torch__.torch.classes.a.B) -> int:\n  return 1\n", "foreign class"),
        ("def f(:\n", "not TorchScript"),
        ("(" * 100_000, "not TorchScript"),
    ],
)
def test_source_that_does_more_than_compute_is_refused(line: Path, code: str, reason: str) -> None:
    bad = doctored(line, ".py", lambda content: content + code.encode())
    with pytest.raises(InvalidModel, match=reason):
        scanned_torchscript(bad)


class Drops(nn.Module):
    """Drops whole items while training, as residual networks do."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            noise = torch.empty([x.shape[0], 1], dtype=x.dtype, device=x.device)
            return x * noise.bernoulli_(0.5)
        return x + 1


def test_a_branch_for_training_does_not_stand_in_the_way(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.pt", torch.jit.script(Drops().eval()))
    check_every_prefix(path, lambda batch: torch.randn(batch, 6), (torch.randn(1, 6),))


def test_entries_that_are_no_data_are_refused(line: Path) -> None:
    with zipfile.ZipFile(line, "a") as archive:
        archive.writestr("line/code/native.so", b"")
    with pytest.raises(InvalidModel, match=r"native\.so"):
        scanned_torchscript(line)


def test_repeated_entries_are_refused(line: Path) -> None:
    with zipfile.ZipFile(line, "a") as archive:
        archive.writestr("line/DATA.pkl", b"")
    with pytest.raises(InvalidModel, match="repeated"):
        scanned_torchscript(line)


def test_a_truncated_archive_is_refused(line: Path) -> None:
    line.write_bytes(line.read_bytes()[:-200])
    with pytest.raises(InvalidModel):
        resolve_model(line)


def test_a_pickled_module_is_refused(tmp_path: Path) -> None:
    torch.save(Line(), tmp_path / "a.pt")
    with pytest.raises(InvalidModel, match="pickled modules are code"):
        resolve_model(tmp_path / "a.pt")
