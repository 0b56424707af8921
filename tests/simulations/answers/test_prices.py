"""Prices from a file, and bills."""

from __future__ import annotations

from pathlib import Path

import pytest

from isthmus.errors import InvalidConfiguration
from simulations.answers.prices import Prices, bill, read_prices
from simulations.run_record import EndedRequest, Resource, RunFacts, RunRecorder


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    return path


def test_prices_are_read_by_group(tmp_path: Path) -> None:
    text = (
        "currency: EUR\nsource: list of June\nreplicas: {any: 0.9/h, gpu: 3.6/h}\nedges: 0.036/h\ndownlink: 0.09/GB\n"
    )
    prices = read_prices(written(tmp_path, text))
    assert prices.of_replica("gpu") == pytest.approx(0.001)
    assert prices.of_replica("cpu") == pytest.approx(0.9 / 3600)
    assert prices.of_edge("shop") == pytest.approx(1e-5)
    assert prices.downlink_per_byte == pytest.approx(9e-11)
    assert (prices.currency, prices.source, prices.uplink_per_byte) == ("EUR", "list of June", 0.0)


def test_one_price_is_that_of_every_replica(tmp_path: Path) -> None:
    prices = read_prices(written(tmp_path, "replicas: 3.6/h"))
    assert prices.of_replica("") == prices.of_replica("gpu") == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("currency: EUR", "prices.replicas"),
        ("replicas: cheap", "prices.replicas"),
        ("replicas: {gpu: -1}", "prices.replicas.gpu"),
        ("replicas: [1]", "prices.replicas"),
        ("replicas: 1/h\nuplink: 1/h", "prices.uplink"),
        ("replicas: 1/h\nedge: 1/h", "prices.edge"),
        ("replicas: 1/h\ncurrency: 5", "prices.currency"),
        ("replicas: {", "is not YAML"),
    ],
)
def test_what_is_no_price_is_named(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(InvalidConfiguration, match=field.replace(".", r"\.")):
        read_prices(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        read_prices(tmp_path / "none.yaml")


def test_a_bill_holds_the_counted_time_and_bytes() -> None:
    recorder = RunRecorder()
    recorder.add(EndedRequest(1.0, 0.1, up_bytes=1e9, down_bytes=1e9))  # before the warm-up has ended
    recorder.add(EndedRequest(20.0, 0.1, up_bytes=2e9, down_bytes=1e9))
    recorder.resource(Resource("replica", "r1", "gpu", 10.0, 100.0, 0.1))
    recorder.resource(Resource("replica", "r2", "gpu", 10.0, 50.0, 0.2))
    recorder.resource(Resource("edge", "e1", "shop", 10.0, 100.0, 0.1))
    run = recorder.finish(RunFacts("shop", 1, 110.0, 10.0))
    parts = bill(run, Prices("EUR", {"gpu": 0.01}, {"any": 0.001}, 1e-9, 2e-9))
    assert parts == pytest.approx({"replicas": 1.5, "edges": 0.1, "uplink": 2.0, "downlink": 2.0})


def test_a_group_without_a_price_is_not_free() -> None:
    with pytest.raises(InvalidConfiguration, match=r"prices\.replicas: has no price"):
        Prices("EUR", {"cpu": 0.01}).of_replica("gpu")
