"""Ways to damage a file: from its bytes and another file's to what is left."""

import random
from collections.abc import Callable

Damage = Callable[[bytes, bytes], bytes]


def one_bit(data: bytes, _: bytes) -> bytes:
    position = random.Random(len(data)).randrange(8 * len(data))
    changed = bytearray(data)
    changed[position // 8] ^= 1 << position % 8
    return bytes(changed)


DAMAGES: dict[str, Damage] = {
    "cut": lambda data, _: data[: len(data) * 2 // 3],
    "empty": lambda data, _: b"",
    "zero": lambda data, _: bytes(len(data)),
    "bit": one_bit,
    "type": lambda data, _: b"[]\n",
    "other": lambda _, other: other,
}
