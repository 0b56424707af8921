"""What TorchScript's source may name beyond the operators of a model: the language's own, and what training needs."""

from __future__ import annotations

from partitioner.allowed_operators import ALLOWED, is_listed, listed

__all__ = ["PRIMITIVES", "may_stand_in_source"]


# On lists, dicts, strings and plain numbers; they hold no tensor's memory.
_LANGUAGE = listed("""
    Bool Complex ComplexImplicit Delete Float FloatImplicit Int IntImplicit ScalarImplicit Size __contains__
    __derive_index __getitem__ __interpolate __is__ __isnot__ __not__ __range_length __round_to_zero_floordiv
    __upsample __upsample_bilinear __upsample_nearest _get_tracing_state _infer_size _list_to_tensor _set_item
    _unwrap_optional append as_tensor bin broadcast_shapes capitalize center chr clear count degrees device dict divmod
    element_size endswith expandtabs extend fabs factorial find floordiv format get get_autocast_dtype
    has_torch_function hash hex insert is_autocast_cpu_enabled is_autocast_enabled is_grad_enabled is_scripting isalnum
    isalpha isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper items join keys len
    list ljust lower lstrip mathremainder modf oct ord partition percentFormat pop popitem radians remove replace
    reverse rfind rindex rjust rpartition rsplit rstrip set_grad_enabled setdefault sorted splitlines startswith str
    strip swapcase tensor title update upper values warn zfill
    """)
# What tells about a tensor, or copies it between devices; some are decided by values: an export refuses those it meets.
_ABOUT_TENSORS = listed("""
    allclose argwhere can_cast cpu cuda data equal get_device indices is_contiguous is_nonzero is_same_size is_signed
    item masked_select nonzero promote_types result_type storage_offset stride unique_consecutive unique_dim _unique2
    """)
# In branches for training, which a model in inference never takes: random numbers, and memory to put them in. What an
# export meets of them is refused then, since none is in `ALLOWED`.
_TRAINING = listed("""
    bernoulli empty empty_like exponential multinomial new_empty normal poisson rand rand_like randint randint_like
    randn randn_like randperm uniform
    """)
_SOURCE = ALLOWED | _LANGUAGE | _ABOUT_TENSORS | _TRAINING

PRIMITIVES = listed("""
    EnumName EnumValue ModuleContainerIndex NumToTensor RaiseException StringIndex TupleIndex TupleUnpack abs data
    device dtype grad id index is_cpu is_cuda is_meta is_mkldnn is_mps is_nested is_quantized is_sparse is_vulkan
    is_xla is_xpu itemsize layout max min name nbytes rangelist requires_grad tolist type unchecked_cast
    unchecked_unwrap_optional
    """)
"""Of TorchScript's `prim` operators those that its writer prints by name."""


def may_stand_in_source(operator: str) -> bool:
    """Whether source may name that `aten` operator, in place or not."""
    return is_listed(operator, _SOURCE)
