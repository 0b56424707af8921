"""The ATen operators that may stand in a model, by family: every other is refused, whoever made the file.

A name belongs here when all its forms without an `out` are functional, check sizes and indices before they touch
memory, return nothing but what they computed (no memory that nobody wrote), reach no file, device or other process,
keep no state, and are not random (or have a switch that turns the randomness off, which `check_operators` demands).
To allow one more, show that of it and add its name to the family it belongs to.

Absent on purpose: all that takes strides, storage offsets or raw buffers (as_strided and its kin, nested and sparse
constructors, `_reshape_alias`), the unchecked index ops, `empty` and its kin (they show what memory held before),
kernels whose callers check the sizes for them (of mkldnn, cudnn, fbgemm, flash attention, weight norm), and the
backward, quantised and packed forms, which no model that is served needs.
"""

from __future__ import annotations

__all__ = [
    "ACTIVATIONS",
    "ALLOWED",
    "ARITHMETIC",
    "CASTS",
    "DROPOUT",
    "ELEMENTWISE",
    "LOSSES",
    "PARTS",
    "RESAMPLING",
    "SHAPES",
    "SPECTRA",
    "is_listed",
    "listed",
]


def listed(text: str) -> frozenset[str]:
    """The names in a text that blanks part."""
    return frozenset(text.split())


def is_listed(operator: str, names: frozenset[str]) -> bool:
    """Whether that operator is among `names`; the in-place form (`relu_`) goes with the functional one."""
    return operator in names or operator.removesuffix("_") in names


# One number in, one number out, at each place: sizes are the input's own.
ELEMENTWISE = listed("""
    abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh bitwise_not ceil
    conj conj_physical _conj _conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac
    frexp i0 imag isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma
    nan_to_num neg negative polygamma positive rad2deg real reciprocal resolve_conj resolve_neg round rsqrt sgn sigmoid
    sign signbit sin sinc sinh sqrt square tan tanh trunc
    special_digamma special_entr special_erf special_erfc special_erfcx special_erfinv special_exp2 special_expit
    special_expm1 special_gammaln special_i0 special_i0e special_i1 special_i1e special_log1p special_log_ndtr
    special_logit special_multigammaln special_ndtr special_ndtri special_polygamma special_psi special_round
    special_sinc
""")
# Two or three numbers at each place; the sizes are broadcast, or refused where they do not fit.
ARITHMETIC = listed("""
    add addcdiv addcmul arctan2 atan2 clamp clamp_max clamp_min clip complex copysign div divide float_power
    floor_divide fmax fmin fmod gcd heaviside hypot lcm ldexp lerp logaddexp logaddexp2 maximum minimum mul multiply
    nextafter polar pow remainder rsub special_xlog1py special_xlogy sub subtract true_divide where xlogy
    masked_fill copy fill zero
    __and__ __lshift__ __or__ __rshift__ __xor__ bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift
    bitwise_xor logical_and logical_or logical_xor
    eq ge greater greater_equal gt isclose le less less_equal lt ne not_equal
""")
ACTIVATIONS = listed("""
    celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu log_sigmoid log_sigmoid_forward log_softmax
    _log_softmax mish prelu _prelu_kernel relu relu6 selu silu softmax _safe_softmax _softmax softplus softshrink
    special_log_softmax special_softmax threshold
""")
# Random in training only: they have the switch, and a call that does not turn it off is refused.
DROPOUT = listed("alpha_dropout dropout feature_alpha_dropout feature_dropout native_dropout rrelu")
# Inner sizes must agree.
_PRODUCTS = listed("""
    addbmm addmm _addmm_activation addmv addr baddbmm bilinear bmm chain_matmul dot einsum ger inner kron linear
    linalg_matmul linalg_multi_dot linalg_vecdot matmul mm mv outer tensordot vdot
""")
# Dense solvers; LAPACK is called on checked copies. Those that take pivots or reflectors (lu_solve, ormqr) are absent.
_LINEAR_ALGEBRA = listed("""
    cdist cross det linalg_cholesky linalg_cross linalg_det _linalg_det linalg_diagonal linalg_inv linalg_inv_ex
    linalg_matrix_norm linalg_norm linalg_pinv linalg_qr linalg_slogdet linalg_solve linalg_svd linalg_svdvals
    linalg_vector_norm cosine_similarity dist inverse logdet matrix_exp matrix_power norm norm_except_dim
    pairwise_distance slogdet trace
""")
_CONVOLUTIONS = listed("""
    col2im conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d conv_transpose3d convolution _convolution
    _convolution_mode im2col
""")
# The `native` forms are what functional graphs hold of batch norm in inference; statistics are inputs, not state.
NORMS = listed("""
    batch_norm group_norm instance_norm layer_norm _native_batch_norm_legit
    _native_batch_norm_legit_no_training native_group_norm native_layer_norm renorm rms_norm
""")
# Windows are checked against the padded input; unpooling checks each index.
POOLING = listed("""
    _adaptive_avg_pool2d _adaptive_avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
    adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d avg_pool1d avg_pool2d avg_pool3d max_pool1d
    max_pool1d_with_indices max_pool2d max_pool2d_with_indices max_pool3d max_pool3d_with_indices max_unpool2d
    max_unpool3d
""")
# Coordinates are clamped to the picture or masked.
RESAMPLING = listed("""
    affine_grid_generator channel_shuffle constant_pad_nd grid_sampler
    native_channel_shuffle pad _pad_circular _pad_enum pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad2d
    reflection_pad3d replication_pad1d replication_pad2d replication_pad3d upsample_bicubic2d upsample_bilinear2d
    upsample_linear1d upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_trilinear3d
    _upsample_nearest_exact1d _upsample_nearest_exact2d
    _upsample_nearest_exact3d
""")
# The public attention and recurrent ops; their dropout has a switch. The kernels beneath them are absent.
_SEQUENCES = listed("""
    gru gru_cell lstm lstm_cell rnn_relu rnn_relu_cell rnn_tanh rnn_tanh_cell scaled_dot_product_attention
    _scaled_dot_product_attention_math
""")
REDUCTIONS = listed("""
    all amax amin aminmax any argmax argmin count_nonzero cummax cummin cumprod cumsum diff logcumsumexp logsumexp max
    mean median min mode nanmean nanmedian nansum nanquantile prod quantile special_logsumexp std std_mean sum
    sum_to_size var var_mean
""")
ORDER = listed("argsort bucketize kthvalue msort searchsorted sort topk")
# Every index is compared with the size before it is used, whatever the tensor of indices holds.
_INDEXING = listed("""
    embedding embedding_bag gather index index_add index_copy index_fill index_put index_reduce index_select isin
    masked_scatter nll_loss one_hot put scatter scatter_add scatter_reduce take
""")
# Other shapes of the same numbers. The number of elements must agree; no strides are taken from the model.
SHAPES = listed("""
    adjoint alias atleast_1d atleast_2d atleast_3d broadcast_tensors broadcast_to detach diagonal expand expand_as
    flatten mH mT matrix_H movedim moveaxis narrow numpy_T permute ravel reshape reshape_as select slice squeeze
    swapaxes swapdims t transpose unflatten unfold unsqueeze _unsafe_view view view_as view_as_complex view_as_real
    alias_copy detach_copy diagonal_copy expand_copy narrow_copy permute_copy _reshape_copy select_copy slice_copy
    squeeze_copy t_copy transpose_copy unfold_copy unsqueeze_copy view_as_complex_copy view_as_real_copy view_copy
""")
# "unsafe" in a split's name means that its parts may share memory with each other, no more: sizes are checked.
PARTS = listed("""
    block_diag cartesian_prod cat chunk column_stack combinations concat concatenate diag diag_embed diagflat
    diagonal_scatter dsplit dstack flip fliplr flipud hsplit hstack meshgrid repeat repeat_interleave roll rot90
    row_stack select_scatter slice_scatter split split_copy split_with_sizes split_with_sizes_copy stack tensor_split
    tile tril triu unbind unbind_copy unsafe_chunk unsafe_split unsafe_split_with_sizes vsplit vstack
""")
# All that is returned has been written.
CREATION = listed("""
    arange bartlett_window blackman_window eye full full_like hamming_window hann_window kaiser_window linspace
    logspace new_full new_ones new_zeros ones ones_like range scalar_tensor tril_indices triu_indices vander zeros
    zeros_like
""")
CASTS = listed("""
    _to_copy clone contiguous lift lift_fresh lift_fresh_copy to type_as _cast_Byte _cast_Char _cast_Double _cast_Float
    _cast_Half _cast_Int _cast_Long _cast_Short
""")
SPECTRA = listed("""
    fft_fft fft_fft2 fft_fftfreq fft_fftn fft_fftshift fft_hfft fft_ifft fft_ifft2 fft_ifftn fft_ifftshift fft_ihfft
    fft_irfft fft_irfft2 fft_irfftn fft_rfft fft_rfft2 fft_rfftfreq fft_rfftn istft stft
""")
# Differences between two results; some models give one beside their answer.
LOSSES = listed("""
    binary_cross_entropy binary_cross_entropy_with_logits huber_loss kl_div l1_loss mse_loss smooth_l1_loss
""")
# Rounding to a grid of numbers, in floating point: for models trained to be quantised.
_ROUNDING = listed("fake_quantize_per_tensor_affine fake_quantize_per_channel_affine")
# Numbers about a tensor, and the checks that export leaves behind: they make no tensor.
_SIZES = listed("""
    _assert_async _assert_scalar _assert_tensor_metadata _functional_assert_async _functional_assert_scalar
    _functional_sym_constrain_range _functional_sym_constrain_range_for_size _shape_as_tensor dim is_complex
    is_floating_point numel size sym_constrain_range sym_constrain_range_for_size sym_is_contiguous sym_numel sym_size
""")

ALLOWED: frozenset[str] = frozenset().union(
    *(ELEMENTWISE, ARITHMETIC, ACTIVATIONS, DROPOUT, _PRODUCTS, _LINEAR_ALGEBRA, _CONVOLUTIONS, NORMS, POOLING),
    *(RESAMPLING, _SEQUENCES, REDUCTIONS, ORDER, _INDEXING, SHAPES, PARTS, CREATION, CASTS, SPECTRA, LOSSES),
    *(_ROUNDING, _SIZES),
)
"""Base names: `add` for `aten.add.Tensor`. In-place and `out` forms are refused apart from this list."""
