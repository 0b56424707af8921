"""What a fleet costs: prices from a file, and the bill of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from isthmus.errors import InvalidConfiguration, InvalidInput
from isthmus.units import parse_price_per_byte, parse_price_per_s
from simulations.run_record import RunRecord

__all__ = ["Prices", "bill", "read_prices", "traffic"]

_ANY = "any"
_REMEDY = "write it like 0.9/h, or {GROUP: 0.9/h, any: 0.5/h}"


@dataclass(frozen=True, slots=True)
class Prices:
    """In one currency, whatever it is. replica_per_s, edge_per_s: a second of one, by its group; "any" is every other
    group. uplink_per_byte, downlink_per_byte: of what requests sent and got. source: whose prices, of when.
    """

    currency: str
    replica_per_s: Mapping[str, float] = field(default_factory=dict)
    edge_per_s: Mapping[str, float] = field(default_factory=dict)
    uplink_per_byte: float = 0.0
    downlink_per_byte: float = 0.0
    source: str = ""

    def of_replica(self, group: str) -> float:
        """A second of it. Raises InvalidConfiguration for a group without a price: it would be counted as free."""
        return _price(self.replica_per_s, "replicas", group)

    def of_edge(self, group: str) -> float:
        """A second of it; 0 where no edge has a price. Raises InvalidConfiguration where others have one."""
        return _price(self.edge_per_s, "edges", group) if self.edge_per_s else 0.0


def _price(prices: Mapping[str, float], kind: str, group: str) -> float:
    price = prices.get(group, prices.get(_ANY))
    if price is None:
        remedy = f"add `{kind}: {{{group or _ANY}: 0.9/h}}`"
        raise InvalidConfiguration(f"prices.{kind}", "has no price", value=group, remedy=remedy)
    return price


def bill(run: RunRecord, prices: Prices) -> dict[str, float]:
    """What the counted time of a run cost, by what it was paid for. Raises InvalidConfiguration where a price lacks."""
    by_part = {"replicas": 0.0, "edges": 0.0}
    for one in run.resources:
        if one.kind == "replica":
            by_part["replicas"] += one.present_s * prices.of_replica(one.group)
        elif one.kind == "edge":
            by_part["edges"] += one.present_s * prices.of_edge(one.group)
    return by_part | traffic(run, prices)


def traffic(run: RunRecord, prices: Prices) -> dict[str, float]:
    """What the bytes of the counted requests cost, by their way."""
    counted = run.counted()
    return {
        "uplink": float(counted.up_bytes.sum()) * prices.uplink_per_byte,
        "downlink": float(counted.down_bytes.sum()) * prices.downlink_per_byte,
    }


def read_prices(path: Path) -> Prices:
    """A YAML file: `currency: EUR`, `replicas: 0.9/h` or a price by group, and where wanted `edges` likewise,
    `uplink: 0/GB`, `downlink: 0.09/GB`, `source: price list of June`. Raises InvalidConfiguration naming the key."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration("prices", f"cannot be read: {error.strerror}", value=str(path)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidConfiguration(str(path), "is not YAML: " + " ".join(str(error).split())) from error
    if not isinstance(data, dict) or "replicas" not in data:
        raise InvalidConfiguration("prices.replicas", "is missing", value=str(path), remedy=_REMEDY)
    known = {"currency", "replicas", "edges", "uplink", "downlink", "source"}
    for key in data:
        if key not in known:
            raise InvalidConfiguration(f"prices.{key}", "is not a key", remedy=f"keys are {', '.join(sorted(known))}")
    return Prices(
        currency=_text(data, "currency"),
        replica_per_s=_by_group(data["replicas"], "prices.replicas"),
        edge_per_s=_by_group(data.get("edges", {}), "prices.edges"),
        uplink_per_byte=_parsed(parse_price_per_byte, data.get("uplink", 0.0), "prices.uplink"),
        downlink_per_byte=_parsed(parse_price_per_byte, data.get("downlink", 0.0), "prices.downlink"),
        source=_text(data, "source"),
    )


def _text(data: Mapping[Any, Any], key: str) -> str:
    value = data.get(key, "")
    if not isinstance(value, str):
        raise InvalidConfiguration(f"prices.{key}", "is no text", value=value)
    return value


def _by_group(value: Any, field_name: str) -> dict[str, float]:
    if not isinstance(value, dict):
        return {_ANY: _parsed(parse_price_per_s, value, field_name)}
    return {str(group): _parsed(parse_price_per_s, price, f"{field_name}.{group}") for group, price in value.items()}


def _parsed(parse: Any, value: Any, field_name: str) -> float:
    if not isinstance(value, str | int | float):
        raise InvalidConfiguration(field_name, "is no price", value=value, remedy=_REMEDY)
    try:
        return float(parse(value, field_name))
    except InvalidInput as error:
        raise InvalidConfiguration(field_name, error.problem, value=value, remedy=error.remedy) from None
