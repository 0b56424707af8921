"""What `isthmus up` runs, started and left."""

from __future__ import annotations

import asyncio

import pytest

from isthmus.configuration import CloudConfiguration, Configuration, EdgeConfiguration, ModelConfiguration
from isthmus.deployment import Sides, deploy
from isthmus.errors import InvalidModel
from nodes.settings import ModelArtifact


def configuration() -> Configuration:
    return Configuration(
        models=(ModelConfiguration(name="none", source="none.pt2"),),
        edge=EdgeConfiguration(listen="127.0.0.1:0", runtime="process"),
        cloud=CloudConfiguration(registry_listen="127.0.0.1:0", runtime="process"),
    )


async def deployed(said: list[str]) -> None:
    def export() -> tuple[ModelArtifact, ...]:
        raise InvalidModel("none.pt2", "is no file")

    async with deploy(configuration(), Sides(cloud=True, edge=True), export, said.append):
        said.append("runs")


def test_a_model_that_cannot_be_exported_ends_the_start() -> None:
    said: list[str] = []
    with pytest.raises(InvalidModel, match="is no file"):
        asyncio.run(deployed(said))
    assert [line.split(" at ")[0] for line in said] == ["fleet registry"]
