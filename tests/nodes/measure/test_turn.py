"""Nodes of one machine measure themselves one after the other."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nodes.measure.turn import measuring_turn


async def measure(name: str, file: Path, seen: list[str], most_wait_s: float = 30.0) -> None:
    async with measuring_turn(file, most_wait_s):
        seen.append(f"{name} begins")
        await asyncio.sleep(0)  # whoever else may go on does so here
        await asyncio.sleep(0)
        seen.append(f"{name} ends")


def test_a_turn_ends_before_the_next_begins(tmp_path: Path) -> None:
    seen: list[str] = []

    async def both() -> None:
        await asyncio.gather(*(measure(name, tmp_path / "folder" / "turn", seen) for name in ("edge", "cloud")))

    asyncio.run(both())
    assert seen == ["edge begins", "edge ends", "cloud begins", "cloud ends"]


def test_a_failed_measurement_leaves_its_turn(tmp_path: Path) -> None:
    seen: list[str] = []

    async def one_after_a_failure() -> None:
        try:
            async with measuring_turn(tmp_path / "turn"):
                raise RuntimeError("no device")
        except RuntimeError:
            await measure("cloud", tmp_path / "turn", seen)

    asyncio.run(one_after_a_failure())
    assert seen == ["cloud begins", "cloud ends"]


def test_whoever_holds_the_turn_for_too_long_is_not_waited_for(tmp_path: Path) -> None:
    seen: list[str] = []

    async def beside() -> None:
        async with measuring_turn(tmp_path / "turn"):
            await measure("cloud", tmp_path / "turn", seen, most_wait_s=0.0)

    asyncio.run(beside())
    assert seen == ["cloud begins", "cloud ends"]


def test_without_a_folder_to_write_to_a_node_measures_all_the_same(tmp_path: Path) -> None:
    seen: list[str] = []
    (tmp_path / "no folder").write_text("")
    asyncio.run(measure("edge", tmp_path / "no folder" / "turn", seen))
    assert seen == ["edge begins", "edge ends"]
