"""Which tensors still show a model's inputs as they came: moved, cut out, resized, cast, or changed place by place.

What must stay on the device as it is has not become anything else by a border around it, another type, a mean taken off
or a smaller copy in grey. A first op that mixes places by weights (a convolution of more than one place, a product,
attention) ends it; how much of an input can be computed back from what such ops make is another question, which no rule
of the graph's answers.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod

from partitioner.allowed_operators import (
    ACTIVATIONS,
    ARITHMETIC,
    CASTS,
    CREATION,
    DROPOUT,
    ELEMENTWISE,
    LOSSES,
    NORMS,
    ORDER,
    PARTS,
    POOLING,
    REDUCTIONS,
    RESAMPLING,
    SHAPES,
    SPECTRA,
    listed,
)
from partitioner.graph import ModelGraph, Op

__all__ = ["raw_tensors"]

# Whatever else they read, values that they read are among those that they make, or were looked up by them.
_MOVING = (
    SHAPES
    | PARTS
    | CASTS
    | RESAMPLING
    | listed("""
    col2im embedding gather im2col index index_add index_copy index_fill index_put index_reduce index_select
    linalg_diagonal masked_scatter one_hot put scatter scatter_add scatter_reduce take vander
    BitCast Cast CastLike CenterCropPad Col2Im Compress Concat DepthToSpace Expand Flatten Gather GatherElements
    GatherND GridSample Identity MaxRoiPool MaxUnpool OneHot Pad Reshape Resize ReverseSequence RoiAlign Scatter
    ScatterElements ScatterND Slice SpaceToDepth Split Squeeze TensorScatter Tile Transpose Trilu Unsqueeze Upsample
    """)
)
# Of what they read they take no more than its shape.
_KNOWN = CREATION - {"vander"}
# Turned by numbers that everybody knows: who has what they make has what they read.
_TURNING = SPECTRA | listed("DFT RotaryEmbedding STFT")
# Whole graphs in one op: what they make may be what they read, one of its parts or sums, whatever else is in them.
_GRAPHS = listed("If Loop Scan")
# Each place is made of the same place of what they read, and of numbers about all places, as norms and softmax are.
_PLACE_BY_PLACE = (
    ELEMENTWISE
    | ARITHMETIC
    | ACTIVATIONS
    | DROPOUT
    | NORMS
    | listed("""
    bucketize fake_quantize_per_channel_affine fake_quantize_per_tensor_affine isin searchsorted
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax InstanceNormalization IsInf IsNaN LRN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpNormalization Max Mean MeanVarianceNormalization Min
    Mish Mod Mul Neg Not Or PRelu Pow QuantizeLinear RMSNormalization Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin
    Sinh Softmax Softplus Softsign Sqrt Sub Sum SwiGLU Swish Tan Tanh ThresholdedRelu Where Xor
    """)
)
# Means, maxima, orders: the picture smaller, in grey or along a line, or just a few numbers about it. A loss may be
# left as it is at each place.
_SUMMARIES = (
    POOLING
    | REDUCTIONS
    | ORDER
    | LOSSES
    | listed("""
    embedding_bag linalg_vector_norm nll_loss norm
    ArgMax ArgMin AveragePool CumProd CumSum LpPool MaxPool ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare TopK
    GlobalAveragePool GlobalLpPool GlobalMaxPool NegativeLogLikelihoodLoss SoftmaxCrossEntropyLoss
    """)
)
# Of an item: as a mean and a deviation of each of a few channels are. More of them may be a small picture.
_FEW_NUMBERS = 16


def raw_tensors(
    graph: ModelGraph, of: Collection[str] | None = None, without: Collection[str] = frozenset()
) -> frozenset[str]:
    """The tensors `of` (the inputs of the model by default), and all that ops make of them without mixing places.

    without: ops whose outputs do not count, whatever they read.
    """
    raw, known = set(graph.inputs if of is None else of), set[str]()
    for op in graph.ops:
        if op.kind in _KNOWN or all(name in known for name in op.inputs):
            known.update(op.outputs)
        if op.name in without or not any(name in raw for name in op.inputs):
            continue
        is_each_place = op.kind in _PLACE_BY_PLACE or op.is_of_one_place
        if op.kind in _MOVING | _TURNING | _GRAPHS or (is_each_place and _is_shown(graph, op, raw | known)):
            raw.update(op.outputs)
        elif op.kind in _SUMMARIES:
            raw.update(name for name in op.outputs if prod(graph.tensors[name].shape_at(1)) > _FEW_NUMBERS)
    return frozenset(raw)


def _is_shown(graph: ModelGraph, op: Op, plain: Collection[str]) -> bool:
    """Whether what it reads is `plain`, raw or known to everybody, or smaller than what it makes: a mean, a deviation,
    a scale."""
    made = max(graph.tensors[name].bytes for name in op.outputs)
    return all(name in plain or graph.tensors[name].bytes < made for name in op.inputs)
