"""Hostile data out of sound data: bytes, JSON documents, protobuf messages and the order of frames, all by one seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, TypeVar

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

__all__ = ["Mutator"]

T = TypeVar("T")

_BYTES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\xff\xff\xff\xff\x0f", b"\n\n")
_WHOLE = (0, 1, -1, 2, 7, 255, 256, 65535, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1,
          1 << 63, (1 << 64) - 1, -(1 << 31), -(1 << 63))  # fmt: skip
_REAL = (0.0, -0.0, 1e-300, 1e300, -1e300, float("inf"), float("-inf"), float("nan"), 0.1)
_TEXT = (
    "",
    "\0",
    "x",
    "\U0001f600",
    "../../etc/passwd",
    "float32",
    "int8",
    "bool",
    "-1",
    "1e999",
    "9" * 400,
    "a" * 5000,
)
_LONGEST = 1 << 16
_DEEP = 1200  # beyond Python's recursion limit


class Mutator:
    """One case's source of chance. Everything that it makes follows from the seed."""

    def __init__(self, seed: int | str) -> None:
        self.rng = Random(seed)

    def often(self, share: float) -> bool:
        """True in that share of the calls."""
        return self.rng.random() < share

    # ---- bytes -------------------------------------------------------------------------------------------------

    def data(self, sound: bytes, others: Sequence[bytes] = ()) -> bytes:
        """`sound` with one to four faults; `others` lend pieces."""
        changed = bytearray(sound)
        for _ in range(self.rng.choice((1, 1, 1, 2, 4))):
            fault = self.rng.choice(self._FAULTS)
            fault(self, changed, self.rng.choice(others) if others else sound)
        return bytes(changed[:_LONGEST])

    def _flip(self, data: bytearray, other: bytes) -> None:
        if data:
            data[self.rng.randrange(len(data))] ^= 1 << self.rng.randrange(8)

    def _overwrite(self, data: bytearray, other: bytes) -> None:
        at, piece = self.rng.randint(0, len(data)), self.rng.choice(_BYTES)
        data[at : at + len(piece)] = piece

    def _insert(self, data: bytearray, other: bytes) -> None:
        at = self.rng.randint(0, len(data))
        data[at:at] = self.rng.choice((*_BYTES, self.rng.randbytes(self.rng.randint(1, 40))))

    def _cut_out(self, data: bytearray, other: bytes) -> None:
        start = self.rng.randint(0, len(data))
        del data[start : start + self.rng.choice((1, 2, 4, 16, 1 << 20))]

    def _repeat(self, data: bytearray, other: bytes) -> None:
        start = self.rng.randint(0, len(data))
        piece = data[start : start + self.rng.randint(1, 64)]
        data[start:start] = piece * self.rng.choice((1, 2, 50))

    def _splice(self, data: bytearray, other: bytes) -> None:
        data[self.rng.randint(0, len(data)) :] = other[self.rng.randint(0, len(other)) :]

    _FAULTS: Sequence[Callable[[Mutator, bytearray, bytes], None]] = (
        _flip, _flip, _overwrite, _overwrite, _insert, _cut_out, _repeat, _splice,
    )  # fmt: skip

    # ---- sequences ---------------------------------------------------------------------------------------------

    def order(self, sound: Sequence[T]) -> list[T]:
        """With items lost, doubled or swapped; often as it was."""
        items = list(sound)
        if items and self.often(0.5):
            one, other = self.rng.randrange(len(items)), self.rng.randrange(len(items))
            match self.rng.randrange(4):
                case 0:
                    del items[one]
                case 1:
                    items.insert(other, items[one])
                case 2:
                    items[one], items[other] = items[other], items[one]
                case _:
                    items *= 2
        return items

    # ---- values ------------------------------------------------------------------------------------------------

    def whole(self, sound: int = 0) -> int:
        """A number near that one, or one at some edge."""
        return sound + self.rng.choice((-1, 1)) if self.often(0.3) else self.rng.choice(_WHOLE)

    def text(self, sound: str = "") -> str:
        """A hostile one, or a sound one with a fault."""
        if sound and self.often(0.6):
            return self.data(sound.encode()).decode("utf-8", "replace")
        return self.rng.choice(_TEXT)

    def document(self, sound: Any) -> Any:
        """A JSON value with one node replaced, lost or doubled. `sound` is not changed; what is untouched is shared."""
        if isinstance(sound, dict) and sound and self.often(0.95):
            key = self.rng.choice(list(sound))
            if self.often(0.1):
                return {name: value for name, value in sound.items() if name != key}
            changed = self.text(key) if self.often(0.05) else key
            return {**{n: v for n, v in sound.items() if n != key}, changed: self.document(sound[key])}
        if isinstance(sound, list) and sound and self.often(0.9):
            at = self.rng.randrange(len(sound))
            if self.often(0.1):
                return self.order(sound)
            return [*sound[:at], self.document(sound[at]), *sound[at + 1 :]]
        return self._leaf(sound)

    def _leaf(self, sound: Any) -> Any:
        if isinstance(sound, str) and self.often(0.5):
            return self.text(sound)
        if isinstance(sound, int | float) and self.often(0.5):
            near = int(sound) if math.isfinite(sound) else 0
            return self.whole(near) if self.often(0.6) else self.rng.choice(_REAL)
        if self.often(0.02):
            return self._deep()
        return self.rng.choice(
            (None, True, False, [], {}, [[]], {"": None}, self.whole(), self.text(), self.rng.choice(_REAL))
        )

    def _deep(self) -> Any:
        value: Any = 0
        for _ in range(self.rng.choice((20, _DEEP))):
            value = [value]
        return value

    # ---- messages ----------------------------------------------------------------------------------------------

    def message(self, message: Message) -> None:
        """Change one field of a message, or of one inside it, in place."""
        fields: Sequence[Any] = message.DESCRIPTOR.fields
        if not fields:
            return
        field = self.rng.choice(fields)
        present = [found for found, _ in message.ListFields()]
        if present and self.often(0.8):
            field = self.rng.choice(present)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._map(getattr(message, field.name), field.message_type.fields_by_name["value"])
        elif field.is_repeated:
            self._repeated(getattr(message, field.name), field)
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            self.message(getattr(message, field.name))
        elif self.often(0.15):
            message.ClearField(field.name)
        else:
            setattr(message, field.name, self._scalar(field, getattr(message, field.name)))

    def _map(self, entries: Any, value: FieldDescriptor) -> None:
        key = self.rng.choice(list(entries)) if entries and self.often(0.7) else self.text()
        if value.type == FieldDescriptor.TYPE_MESSAGE:
            self.message(entries[key])
        else:
            entries[key] = self._scalar(value, entries[key])

    def _repeated(self, items: Any, field: FieldDescriptor) -> None:
        if items and self.often(0.25):
            del items[self.rng.randrange(len(items))]
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            self.message(items[self.rng.randrange(len(items))] if items and self.often(0.8) else items.add())
        elif items and self.often(0.8):
            at = self.rng.randrange(len(items))
            items[at] = self._scalar(field, items[at])
        else:
            items.extend([self._scalar(field, None)] * self.rng.choice((1, 1, 3, 300)))

    def _scalar(self, field: FieldDescriptor, sound: Any) -> Any:
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self.data(sound or b"")
            case FieldDescriptor.CPPTYPE_STRING:
                return self.text(sound or "")
            case FieldDescriptor.CPPTYPE_BOOL:
                return self.often(0.5)
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return self.rng.choice(_REAL)
            case FieldDescriptor.CPPTYPE_ENUM if (kinds := field.enum_type) is not None and kinds.is_closed:
                return self.rng.choice(kinds.values).number
            case FieldDescriptor.CPPTYPE_ENUM:
                return self.rng.randrange(-1, 20)
            case kind:
                bits = 32 if kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32) else 64
                signed = kind in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
                wrapped = self.whole(sound or 0) % (1 << bits)
                return wrapped - (1 << bits) if signed and wrapped >> (bits - 1) else wrapped
