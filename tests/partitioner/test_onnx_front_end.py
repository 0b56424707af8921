"""ONNX files as models: cuts keep the bits, branches that are decided are gone, hostile files are refused."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

from isthmus.errors import InvalidModel
from partitioner.artifact import load_artifact, save_artifact
from partitioner.model_source import resolve_model
from partitioner.onnx_front_end import model_from_onnx
from partitioner.onnx_model import OnnxModel

FLOAT = TensorProto.FLOAT
GENERATOR = np.random.default_rng(0)


def weight(name: str, *shape: int) -> TensorProto:
    return numpy_helper.from_array(GENERATOR.standard_normal(shape).astype(np.float32), name)


def numbers(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


def value(name: str, *shape: int | str, kind: int = FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, list(shape))


def proto(
    nodes: Sequence[onnx.NodeProto],
    initializers: Sequence[TensorProto] = (),
    inputs: Sequence[onnx.ValueInfoProto] = (value("x", "batch", 4),),
    outputs: Sequence[str] = ("y",),
) -> onnx.ModelProto:
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", list(inputs), made, list(initializers))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def saved(path: Path, model: onnx.ModelProto) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


def branching(condition: str, inputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """y = relu(x @ w) + 1 where the condition holds, else x @ w - 1; both branches capture from outside."""

    def body(name: str, operator: str) -> onnx.GraphProto:
        nodes = [
            helper.make_node("Relu" if operator == "Add" else "Neg", ["mixed"], ["inner"]),
            helper.make_node("Constant", [], ["one"], value=helper.make_tensor("one", FLOAT, [], [1.0])),
            helper.make_node(operator, ["inner", "one"], ["out"]),
        ]
        return helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name="out")])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["mixed"], "mix"),
        helper.make_node("ReduceSum", ["x"], ["sum"], "sum", keepdims=0),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "width_at"], ["width"]),
        helper.make_node("Equal", ["width", "four"], ["is_four"]),
        helper.make_node("Greater", ["sum", "zero"], ["is_positive"]),
        helper.make_node("If", [condition], ["y"], "if", then_branch=body("a", "Add"), else_branch=body("b", "Sub")),
    ]
    zero = numpy_helper.from_array(np.array(0, np.float32), "zero")
    position, four = (numpy_helper.from_array(np.array(n), name) for n, name in ((1, "width_at"), (4, "four")))
    return proto(nodes, [weight("w", 4, 4), zero, position, four], inputs)


def check_every_prefix(
    model: OnnxModel, file: Path, runs: Sequence[tuple[Tensor, ...]], pinned: dict[str, object]
) -> None:
    """Cuts give the bits of the whole, which is close to what onnxruntime makes of the file itself."""
    reference = onnxruntime.InferenceSession(file.read_bytes())
    ops = [op.name for op in model.graph.ops]
    for inputs in runs:
        fed = dict(zip(model.graph.inputs, (t.numpy() for t in inputs), strict=True))
        wanted, whole = reference.run(None, {**fed, **pinned}), model(*inputs)
        for a, b in zip(whole, wanted, strict=True):
            torch.testing.assert_close(a, torch.from_numpy(b), rtol=1e-5, atol=1e-5)
        for count in range(len(ops) + 1):
            segments = model.split(ops[:count])
            made = segments.prefix(*inputs)
            assert len(made) == len(segments.boundary) + len(segments.kept)
            assert all(map(torch.equal, segments.suffix(*(t.clone() for t in made)), whole)), count
            crossing = len(segments.boundary)
            assembled = segments.assemble(made[crossing:], segments.cloud(*made[:crossing]))
            assert all(map(torch.equal, assembled, whole)), count


def rows(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 4, generator=torch.Generator().manual_seed(batch)),)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Convolution, skip, shape arithmetic with the batch, two outputs of which one is made early."""
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["early"], "relu"),
        helper.make_node("Add", ["early", "x"], ["s"], "add"),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Concat", ["batch", "rest"], ["flat_shape"], axis=0),
        helper.make_node("Reshape", ["s", "flat_shape"], ["flat"], "flatten"),
        helper.make_node("Gemm", ["flat", "w"], ["y"], "head"),
    ]
    constants = [weight("k", 3, 3, 3, 3), weight("w", 108, 5), numbers("zero", 0), numbers("rest", 108)]
    inputs = [value("x", "batch", 3, 6, 6)]
    return saved(tmp_path / "mixed.onnx", proto(nodes, constants, inputs, ("early", "y")))


def pictures(batch: int) -> tuple[Tensor, ...]:
    return (torch.randn(batch, 3, 6, 6, generator=torch.Generator().manual_seed(batch)),)


def test_every_topological_prefix_gives_the_bits_of_the_whole(mixed: Path) -> None:
    check_every_prefix(model_from_onnx(mixed), mixed, [pictures(b) for b in (1, 2, 3, 7)], {})


def test_the_graph_says_what_flows_and_what_it_costs(mixed: Path) -> None:
    graph = model_from_onnx(mixed).graph
    assert [(op.name, op.kind) for op in graph.ops] == [
        ("conv", "Conv"), ("relu", "Relu"), ("add", "Add"), ("flatten", "Reshape"), ("head", "Gemm"),
    ]  # fmt: skip
    assert graph.op("conv").flops_at(3) == 3 * 2 * 27 * 3 * 36
    assert graph.op("head").flops_at(3) == 3 * 2 * 108 * 5
    assert graph.op("conv").parameter_bytes == 4 * 81
    assert graph.op("flatten").inputs == ("s",)
    assert graph.tensors["early"].shape_at(3) == (3, 3, 6, 6)


def test_an_artifact_gives_the_same_model(mixed: Path, tmp_path: Path) -> None:
    model = model_from_onnx(mixed)
    save_artifact(model, tmp_path / "artifact")
    loaded = load_artifact(tmp_path / "artifact")
    assert (loaded.digest, loaded.graph, loaded.name) == (model.digest, model.graph, "mixed")
    assert all(map(torch.equal, loaded(*pictures(2)), model(*pictures(2))))
    assert not list((tmp_path / "artifact").glob("*.onnx"))


def test_another_weight_is_another_digest(mixed: Path, tmp_path: Path) -> None:
    other = onnx.load(mixed)
    other.graph.initializer[0].raw_data = bytes(len(other.graph.initializer[0].raw_data))
    assert model_from_onnx(mixed).digest != model_from_onnx(saved(tmp_path / "mixed2.onnx", other), name="mixed").digest


def test_a_branch_on_a_fixed_size_is_put_in_place(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.onnx", branching("is_four", [value("x", "batch", 4)]))
    model = model_from_onnx(path)
    assert {op.kind for op in model.graph.ops} == {"MatMul", "Relu", "Add", "Identity"}
    check_every_prefix(model, path, [rows(1), rows(3)], {})


@pytest.mark.parametrize("name", ["n" * 300, "two\nlines"])
def test_an_op_whose_name_cannot_be_shown_is_called_by_its_operator(tmp_path: Path, name: str) -> None:
    model = model_from_onnx(saved(tmp_path / "named.onnx", proto([helper.make_node("Relu", ["x"], ["y"], name=name)])))
    assert [op.name for op in model.graph.ops] == ["Relu_0"]


def test_an_op_may_not_have_a_name_that_planning_uses(tmp_path: Path) -> None:
    model = proto([helper.make_node("Relu", ["x"], ["y"], name="isthmus/preprocess:x")])
    with pytest.raises(InvalidModel, match="graph: has an op with an unusable name"):
        model_from_onnx(saved(tmp_path / "named.onnx", model))


@pytest.mark.parametrize("flag", [True, False])
def test_a_branch_on_a_pinned_input_is_put_in_place(tmp_path: Path, flag: bool) -> None:
    inputs = [value("x", "batch", 4), value("flag", kind=TensorProto.BOOL)]
    path = saved(tmp_path / "a.onnx", branching("flag", inputs))
    model = model_from_onnx(path, (*rows(1), torch.tensor(flag)))
    assert model.graph.inputs == ("x",)
    assert ("Relu" in {op.kind for op in model.graph.ops}) == flag
    check_every_prefix(model, path, [rows(1), rows(3)], {"flag": np.array(flag)})


def test_a_branch_on_the_data_is_one_op_and_keeps_what_it_captures(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.onnx", branching("is_positive", [value("x", "batch", 4)]))
    model = model_from_onnx(path)
    assert model.graph.op("if").inputs == ("is_positive", "mixed")
    check_every_prefix(model, path, [rows(1), rows(3), (-rows(3)[0].abs(),)], {})


def test_a_loop_is_one_op_and_keeps_what_it_captures(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["carried", "w"], ["turned"]),
            helper.make_node("Add", ["turned", "early"], ["next"]),
            helper.make_node("Identity", ["going"], ["on"]),
        ],
        "body",
        [value("step", kind=TensorProto.INT64), value("going", kind=TensorProto.BOOL), value("carried", "batch", 4)],
        [value("on", kind=TensorProto.BOOL), value("next", "batch", 4)],
    )
    nodes = [
        helper.make_node("Relu", ["x"], ["early"], "relu"),
        helper.make_node("Tanh", ["x"], ["start"], "tanh"),
        helper.make_node("Loop", ["three", "", "start"], ["y"], "loop", body=body),
    ]
    path = saved(tmp_path / "a.onnx", proto(nodes, [weight("w", 4, 4), numpy_helper.from_array(np.array(3), "three")]))
    model = model_from_onnx(path)
    assert model.graph.op("loop").inputs == ("start", "early")
    check_every_prefix(model, path, [rows(1), rows(3)], {})


def test_functions_of_the_file_are_put_in_place(tmp_path: Path) -> None:
    made = helper.make_function(
        "local", "twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 18)]
    )
    nodes = [helper.make_node("twice", ["x"], ["x2"], "first", domain="local"), helper.make_node("Relu", ["x2"], ["y"])]
    model = proto(nodes)
    model.functions.append(made)
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    path = saved(tmp_path / "a.onnx", model)
    assert [op.kind for op in model_from_onnx(path).graph.ops] == ["Add", "Relu"]
    check_every_prefix(model_from_onnx(path), path, [rows(1), rows(3)], {})


def test_constants_and_inputs_may_be_outputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], "mix"), helper.make_node("Relu", ["y"], ["z"], "relu")]
    path = saved(
        tmp_path / "a.onnx", proto(nodes, [weight("w", 4, 30), weight("b", 3)], outputs=("z", "w", "x", "b", "y"))
    )
    model = model_from_onnx(path)
    assert model.graph.outputs == ("z", "w", "x", "b", "y")
    check_every_prefix(model, path, [rows(1), rows(3)], {})


def silero(name: str) -> Path:
    spec = find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "data" / name


AUDIO, STATE, RATE = torch.zeros(1, 576), torch.zeros(2, 1, 128), torch.tensor(16_000)


@pytest.mark.parametrize(
    ("name", "examples"),
    [
        ("silero_vad.onnx", (AUDIO, STATE, RATE)),
        ("silero_vad_16k_op15.onnx", (AUDIO, STATE, RATE)),
        ("silero_vad_half.onnx", (AUDIO, STATE)),
        ("silero_vad_op18_ifless.onnx", (AUDIO, RATE, STATE)),
    ],
)
def test_silero_has_no_branch_left_and_cuts_keep_bits(name: str, examples: tuple[Tensor, ...]) -> None:
    model = model_from_onnx(silero(name), examples)
    assert "If" not in {op.kind for op in model.graph.ops}
    runs = [(torch.randn(batch, 576) / 10, torch.randn(2, batch, 128)) for batch in (1, 3)]
    pinned: dict[str, object] = {} if "half" in name else {"sr": np.array(16_000)}
    check_every_prefix(model, silero(name), runs, pinned)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("silero_vad.onnx", "open dimension 1"),
        ("silero_vad_16k_sequence.onnx", "batch fixed to 1"),
    ],
)
def test_sizes_other_than_the_batch_must_be_known(name: str, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason):
        model_from_onnx(silero(name))


def test_a_batch_fixed_to_1_is_opened_where_its_items_stay_apart(tmp_path: Path) -> None:
    file = saved(tmp_path / "a.onnx", branching("is_four", [value("x", 1, 4)]))
    model, opened = model_from_onnx(file), model_from_onnx(silero("silero_vad_openvino_16k.onnx"))
    check_every_prefix(model, file, [rows(1)], {})
    assert torch.equal(model(*rows(3))[0][1:2], model(rows(3)[0][1:2])[0])
    assert [info.shape_at(3) for info in map(opened.graph.tensors.get, opened.graph.inputs) if info] == [
        (3, 576),
        (2, 3, 128),
    ]


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([helper.make_node("Softmax", ["x"], ["y"], axis=0)], "'y' of a batch is not what its items give one by one"),
        ([helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)], "'y' of a batch is not what its items"),
        (
            [
                helper.make_node("Constant", [], ["s"], value=helper.make_tensor("s", TensorProto.INT64, [2], [4, 1])),
                helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
                helper.make_node("Constant", [], ["z"], value=helper.make_tensor("z", FLOAT, [4, 3], [0.0] * 12)),
                helper.make_node("Concat", ["t", "z"], ["c"], axis=1),
                helper.make_node("Split", ["c"], ["y", "w"], axis=1, num_outputs=4),
            ],
            "the model fails with another",
        ),
    ],
)
def test_a_batch_fixed_to_1_that_is_more_than_a_habit_is_refused(
    tmp_path: Path, nodes: list[onnx.NodeProto], reason: str
) -> None:
    with pytest.raises(InvalidModel, match=f"batch fixed to 1, and {reason}"):
        model_from_onnx(saved(tmp_path / "a.onnx", proto(nodes, inputs=[value("x", 1, 4)])))


def test_examples_that_do_not_fit_are_refused(mixed: Path) -> None:
    with pytest.raises(InvalidModel, match="BATCHx3x6x6"):
        model_from_onnx(mixed, (torch.zeros(1, 3, 5, 5),))
    with pytest.raises(InvalidModel, match="must be 1"):
        model_from_onnx(mixed, (AUDIO, STATE))


def test_sizes_that_depend_on_the_data_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["n"]), helper.make_node("Cast", ["n"], ["y"], to=FLOAT)]
    with pytest.raises(InvalidModel, match="sizes that depend on the data"):
        model_from_onnx(saved(tmp_path / "a.onnx", proto(nodes)))


RELU = helper.make_node("Relu", ["x"], ["y"])


def external(location: str, **more: int) -> onnx.ModelProto:
    kept = TensorProto(name="w", data_type=FLOAT, dims=[4, 20], data_location=TensorProto.EXTERNAL)
    for key, text in {"location": location, **{k: str(v) for k, v in more.items()}}.items():
        entry = kept.external_data.add()
        entry.key, entry.value = key, text
    return proto([helper.make_node("MatMul", ["x", "w"], ["y"])], [kept])


def test_external_data_beside_the_model_is_read(tmp_path: Path) -> None:
    w = torch.randn(4, 20)
    (tmp_path / "weights.bin").write_bytes(b"\0" * 8 + w.numpy().tobytes())
    model = model_from_onnx(saved(tmp_path / "a.onnx", external("weights.bin", offset=8, length=320)))
    assert torch.allclose(model(*rows(3))[0], rows(3)[0] @ w, atol=1e-6)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "", ".", "link", "missing"])
def test_external_data_from_elsewhere_is_refused(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(320))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidModel, match="'w'"):
        model_from_onnx(saved(folder / "a.onnx", external(location)))


def test_external_data_past_the_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    with pytest.raises(InvalidModel, match="past the end"):
        model_from_onnx(saved(tmp_path / "a.onnx", external("weights.bin", length=320)))


def test_external_data_of_a_branch_is_read_and_confined_too(tmp_path: Path) -> None:
    bias = torch.randn(30)

    def body(name: str, operator: str, location: str) -> onnx.GraphProto:
        kept = TensorProto(name=name, data_type=FLOAT, dims=[30], data_location=TensorProto.EXTERNAL)
        entry = kept.external_data.add()
        entry.key, entry.value = "location", location
        nodes = [helper.make_node(operator, ["x", name], ["out"])]
        return helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name="out")], [kept])

    def branches(location: str) -> onnx.ModelProto:
        then, otherwise = body("a", "Add", location), body("b", "Sub", location)
        nodes = [
            helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
            helper.make_node("Greater", ["sum", "zero"], ["positive"]),
            helper.make_node("If", ["positive"], ["y"], then_branch=then, else_branch=otherwise),
        ]
        zero = numpy_helper.from_array(np.array(0, np.float32), "zero")
        return proto(nodes, [zero], [value("x", "batch", 30)])

    (tmp_path / "weights.bin").write_bytes(bias.numpy().tobytes())
    model = model_from_onnx(saved(tmp_path / "a.onnx", branches("weights.bin")))
    ones = torch.ones(2, 30)
    assert torch.equal(model(ones)[0], ones + bias)
    assert torch.equal(model(-ones)[0], -ones - bias)
    with pytest.raises(InvalidModel, match="not in a file beside the model"):
        model_from_onnx(saved(tmp_path / "a.onnx", branches("/etc/hostname")))


def nested(depth: int) -> onnx.NodeProto:
    """An If in an If in an If..."""
    node = RELU
    for _ in range(depth):
        inner, other = (helper.make_graph([n], "b", [], [onnx.ValueInfoProto(name="y")]) for n in (node, RELU))
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=other)
    return node


def huge() -> list[onnx.NodeProto]:
    size = helper.make_tensor("s", TensorProto.INT64, [2], [1 << 20, 1 << 20])
    return [
        helper.make_node("Constant", [], ["s"], value=size),
        helper.make_node("Expand", ["x0", "s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["y"]),
    ]


def huge_constant() -> list[onnx.NodeProto]:
    """Forty gigabytes of a few bytes, summed up."""
    return [
        helper.make_node("ConstantOfShape", ["s"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["sum"], keepdims=0),
        helper.make_node("Add", ["x", "sum"], ["y"]),
    ]


def huge_condition() -> list[onnx.NodeProto]:
    """The same decides a branch."""
    branch = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["made"])], "branch", [], [helper.make_tensor_value_info("made", FLOAT, None)]
    )
    return [
        *huge_constant()[:2],
        helper.make_node("Cast", ["sum"], ["yes"], to=TensorProto.BOOL),
        helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch),
    ]


def sequence() -> list[onnx.NodeProto]:
    construct = helper.make_node("SequenceConstruct", ["x"], ["s"])
    return [construct, helper.make_node("SequenceAt", ["s", "i"], ["y"])]


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (proto([helper.make_node("Magic", ["x"], ["y"], domain="com.example")]), "foreign domain"),
        (proto([helper.make_node("Gelu", ["x"], ["y"], domain="com.microsoft")]), "foreign domain"),
        (proto([helper.make_node("NoSuchOperator", ["x"], ["y"])]), "NoSuchOperator"),
        (proto([helper.make_node("RandomNormalLike", ["x"], ["y"])]), "random"),
        (proto([helper.make_node("Relu", ["z"], ["y"])]), "nothing before it makes"),
        (proto([RELU, RELU]), "makes 'y' again"),
        (proto([RELU], outputs=("z",)), "made by nothing"),
        (proto([]), "no nodes"),
        (proto([RELU], inputs=[value("x", 4, 4)]), "batch fixed to 4"),
        (proto([RELU], inputs=[value("x", "batch", "length")]), "open dimension 1"),
        (proto([RELU], inputs=[value("x", kind=FLOAT)]), "no batch dimension"),
        (proto([RELU], inputs=[value("x", "batch", 4, kind=TensorProto.STRING)]), "common dtype"),
        (proto([RELU], [TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])]), "STRING"),
        (proto([RELU], [TensorProto(name="w", data_type=FLOAT, dims=[1 << 40, 1 << 40])]), "impossible shape"),
        (proto([RELU], [TensorProto(name="w", data_type=FLOAT, dims=[100], raw_data=b"abc")]), "not an ONNX model"),
        (proto([nested(20)], [numpy_helper.from_array(np.array(True), "c")]), "nested too deeply"),
        (proto(huge(), inputs=[value("x0", "batch", 1, 1)]), "too large"),
        (proto(huge_constant(), [numpy_helper.from_array(np.array([100_000, 100_000]), "s")]), "'big': is too large"),
        (proto(huge_condition(), [numpy_helper.from_array(np.array([100_000, 100_000]), "s")]), "'big': is too large"),
        (proto(sequence(), [numpy_helper.from_array(np.array(0), "i")]), "no tensor"),
    ],
)  # fmt: skip
def test_what_is_no_bearable_model_is_refused(tmp_path: Path, model: onnx.ModelProto, reason: str) -> None:
    with pytest.raises(InvalidModel, match=reason) as caught:
        resolve_model(saved(tmp_path / "bad.onnx", model))
    assert "bad.onnx" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(range(256)) * 20, b"\x08\x09" * 500])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.onnx").write_bytes(content)
    with pytest.raises(InvalidModel, match=r"bad\.onnx"):
        resolve_model(tmp_path / "bad.onnx")


def test_any_truncation_is_refused_or_harmless(mixed: Path) -> None:
    whole = mixed.read_bytes()
    for length in range(0, len(whole), max(1, len(whole) // 60)):
        mixed.write_bytes(whole[:length])
        with pytest.raises(InvalidModel):
            model_from_onnx(mixed)


def test_sizes_that_no_multiple_of_the_batch_explains_are_refused(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["batch"]),
        helper.make_node("Mul", ["batch", "batch"], ["squared"]),
        helper.make_node("Concat", ["squared", "four"], ["size"], axis=0),
        helper.make_node("Slice", ["x", "zero", "one"], ["first"]),
        helper.make_node("Expand", ["first", "size"], ["y"]),
    ]
    model = proto(nodes, [numbers("zero", 0), numbers("one", 1), numbers("four", 4)])
    with pytest.raises(InvalidModel, match="fixed multiple of the batch"):
        model_from_onnx(saved(tmp_path / "a.onnx", model))


def test_a_text_that_is_none_is_refused_without_a_word_on_the_screen(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """onnxruntime would try again on the same provider, and print that it does."""
    node = helper.make_node("Relu", ["x"], ["y"])
    node.attribute.append(helper.make_attribute("name-of-it", 1))
    made = proto([node])
    path = tmp_path / "a.onnx"
    path.write_bytes(made.SerializeToString().replace(b"name-of-it", b"name\xff\xff\xff-it"))
    with pytest.raises(InvalidModel, match=r"a\.onnx"):
        model_from_onnx(path)
    assert capfd.readouterr() == ("", "")
