"""What codecs do to one model's answers on its calibration inputs, each measured once, whoever asks.

None of it hangs on a device or a link: what was found while planning for two devices holds for any other two, and for
the other input form. What a tensor's codec loses hangs on which of its readers get the decoded one, those in the cloud;
on the rest of the cut it does not, the other tensors crossing as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodes.codecs.factory import codec, encodes_images
from nodes.codecs.lossy_image import LossyPictureCodec
from nodes.measure.calibration_items import CalibrationItems, CalibrationRuns, Crossed, accuracy_of
from nodes.measure.codec_sizes import MeasuredCodec, lossy_codecs, measured_codec
from nodes.measure.picture_codecs import as_pictures, lossy_pictures, through_pictures
from partitioner.model import Model
from partitioner.plan import CodecKey, TensorCodec
from partitioner.plan_table import Accuracy

__all__ = ["CodecFindings", "TensorFindings"]

_LOSSLESS = ("zstd", "lz4")

_Whole = tuple[frozenset[str], tuple[CodecKey, ...]]
_Alone = tuple[str, frozenset[str], float, bool]


@dataclass(frozen=True, slots=True)
class TensorFindings:
    """The codecs of one tensor: lossless ones, and of those within a loss what `lossy_codecs` finds.

    over: where it finds none, what int8 loses; None elsewhere.
    """

    codecs: tuple[MeasuredCodec, ...]
    over: float | None


class CodecFindings:
    """Of one model, whose calibration inputs must be there. Measuring takes seconds, once."""

    def __init__(self, model: Model) -> None:
        """Raises InvalidModel without calibration inputs."""
        self._model, self._runs = model, CalibrationRuns(model)
        specs = model.interface.inputs
        self._preprocessing = {spec.name: spec.preprocessing for spec in specs if spec.preprocessing is not None}
        self._tensors: dict[_Alone, TensorFindings] = {}
        self._pictures: dict[tuple[str, float], tuple[MeasuredCodec, ...]] = {}
        self._wholes: dict[_Whole, Accuracy] = {}

    def tensor(self, name: str, edge_ops: Sequence[str], loss: float, *, smallest: bool = False) -> TensorFindings:
        """The codecs of `name` where it crosses at that cut and may lose so much; `smallest` as of `lossy_codecs`."""
        cut = frozenset(edge_ops)
        key = name, frozenset(self._model.graph.tensors[name].consumers) - cut, loss, smallest
        if key not in self._tensors:
            self._tensors[key] = self._measured(name, cut, loss, smallest=smallest)
        return self._tensors[key]

    def pictures(self, name: str, loss: float) -> tuple[MeasuredCodec, ...]:
        """The lossy pictures of an input that files make, which may lose so much."""
        if (name, loss) not in self._pictures:
            found = lossy_pictures(self._runs.at(()), name, self._preprocessing[name], loss)
            self._pictures[name, loss] = tuple(found)
        return self._pictures[name, loss]

    def together(self, edge_ops: Sequence[str], lossy: Sequence[TensorCodec]) -> Accuracy:
        """The answers with all these tensors of that cut coded."""
        key = frozenset(edge_ops), tuple(tensor.key for tensor in lossy)
        if key not in self._wholes:
            items = self._runs.at(edge_ops)
            changed = {tensor.tensor: self._crossed(items, tensor).values for tensor in lossy}
            self._wholes[key] = accuracy_of(items.quality(changed))
        return self._wholes[key]

    def _measured(self, name: str, cut: frozenset[str], loss: float, *, smallest: bool) -> TensorFindings:
        items = self._runs.at(cut)
        found = [measured_codec(items, name, codec(one)) for one in _LOSSLESS]
        lossy = list(lossy_codecs(self._runs, items, name, loss, smallest=smallest))
        # Where there is none, one more run of the suffix, to be able to say how far it is off.
        over = None if lossy else measured_codec(items, name, codec("int8")).loss
        found += lossy
        self._wholes.update({(cut, (one.key,)): accuracy_of(one.quality) for one in found if one.quality})
        return TensorFindings(tuple(found), over)

    def _crossed(self, items: CalibrationItems, tensor: TensorCodec) -> Crossed:
        if not encodes_images(tensor.codec):
            return items.crossed(tensor.tensor, codec(tensor.codec, tensor.parameters))
        how = self._preprocessing[tensor.tensor]
        made = LossyPictureCodec(tensor.codec, how, tensor.parameters)
        return through_pictures(tensor.tensor, as_pictures(items.values(tensor.tensor), how), made)
