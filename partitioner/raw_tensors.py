"""Which tensors still show a model's inputs as they came: moved, cut out, resized, cast, or changed place by place.

What must stay on the device as it is has not become anything else by a border around it, another type or a mean taken
off. A first op that mixes places (a convolution, a product, attention, a norm over them) ends it; how much of an input
can be computed back from what such ops make is another question, which no rule of the graph's answers.
"""

from __future__ import annotations

from collections.abc import Collection

from partitioner.allowed_operators import (
    ACTIVATIONS,
    ARITHMETIC,
    CASTS,
    DROPOUT,
    ELEMENTWISE,
    PARTS,
    RESAMPLING,
    SHAPES,
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
    embedding gather im2col index index_copy index_put index_select masked_scatter one_hot scatter take
    Cast CastLike CenterCropPad Concat DepthToSpace Expand Flatten Gather GatherElements GatherND GridSample Identity
    OneHot Pad Reshape Resize ReverseSequence ScatterElements ScatterND Slice SpaceToDepth Split Squeeze Tile Transpose
    Trilu Unsqueeze Upsample
    """)
)
# Each place is made of the same place of what they read, and of numbers about all places; norms of batches scale by
# constants when they infer.
_PLACE_BY_PLACE = (
    ELEMENTWISE
    | ARITHMETIC
    | (
        ACTIVATIONS
        - listed("log_softmax _log_softmax softmax _safe_softmax _softmax special_log_softmax special_softmax")
    )
    | DROPOUT
    | listed("""
    batch_norm _native_batch_norm_legit_no_training
    Abs Acos Acosh Add And Asin Asinh Atan Atanh BatchNormalization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor
    Ceil Celu Clip Cos Cosh DequantizeLinear Div Dropout DynamicQuantizeLinear Elu Equal Erf Exp Floor Gelu Greater
    GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or
    PRelu Pow QuantizeLinear Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Sub Sum Tan
    Tanh ThresholdedRelu Where Xor
    """)
)


def raw_tensors(graph: ModelGraph) -> frozenset[str]:
    """The inputs of the model, and all that ops make of them without mixing places."""
    raw = set(graph.inputs)
    for op in graph.ops:
        read = [name in raw for name in op.inputs]
        if any(read) and (op.kind in _MOVING or (op.kind in _PLACE_BY_PLACE and _is_shown(graph, op, raw))):
            raw.update(op.outputs)
    return frozenset(raw)


def _is_shown(graph: ModelGraph, op: Op, raw: Collection[str]) -> bool:
    """Whether what else it reads is raw too, or smaller than what it makes: a mean, a deviation, a scale."""
    made = max(graph.tensors[name].bytes for name in op.outputs)
    return all(name in raw or graph.tensors[name].bytes < made for name in op.inputs)
