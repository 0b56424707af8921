"""The models whose requests benchmarks judge: answers of different requests can be told apart."""

from __future__ import annotations

import pytest

from benchmarks.judged_requests import cloud_required, heavy_model, inputs_of, is_of, made_model, whole_answer
from partitioner.model import Model


@pytest.mark.parametrize("model", [made_model(64, 0), made_model(64, 0, seed=1), heavy_model(depth=2, channels=8)])
def test_an_answer_is_of_its_own_request_alone(model: Model) -> None:
    whole = [whole_answer(model, inputs_of(seed)) for seed in range(4)]
    for seed in range(4):
        told = [is_of(whole[seed].numpy(), one) for one in whole]
        assert told == [other == seed for other in range(4)]


def test_models_of_other_weights_answer_otherwise() -> None:
    one, two = (whole_answer(made_model(64, 0, seed), inputs_of(0)) for seed in (0, 1))
    assert not is_of(one.numpy(), two)


def test_a_model_that_needs_the_cloud_answers_as_before() -> None:
    model = made_model(64, 0)
    assert model.interface.autonomy != "cloud-required"
    assert cloud_required(model).interface.autonomy == "cloud-required"
    assert is_of(whole_answer(cloud_required(model), inputs_of(0)).numpy(), whole_answer(model, inputs_of(0)))
