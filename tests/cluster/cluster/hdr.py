"""Histograms as throng-load writes them: HdrHistogram's V2 form, compressed, in base64. Several are added up."""

import base64
import struct
import zlib
from collections import Counter

HEADER = struct.Struct(">iiiiqqd")


def percentile(histograms: list[str], share: float) -> float:
    """The value, in what was recorded, that this share of all does not exceed."""
    counts: Counter[int] = Counter()
    for text in histograms:
        if text:
            counts.update(read(text))
    wanted, passed = share * counts.total(), 0
    for value in sorted(counts):
        passed += counts[value]
        if passed >= wanted:
            return float(value)
    return 0.0


def read(text: str) -> Counter:
    """How often each value was recorded, values as coarse as they are kept."""
    packed = base64.b64decode(text)
    plain = zlib.decompress(packed[8:])
    _, length, _, digits, lowest, _, _ = HEADER.unpack_from(plain)
    unit = max(lowest, 1).bit_length() - 1
    # Each doubling of values has so many steps.
    half = (1 << (2 * 10**digits - 1).bit_length()) >> 1
    counts, at, index = Counter(), HEADER.size, 0
    while at < HEADER.size + length:
        number, at = zigzag(plain, at)
        if number < 0:
            index -= number
        else:
            counts[value_at(index, half) << unit] += number
            index += 1
    return counts


def value_at(index: int, half: int) -> int:
    bucket = index // half - 1
    step = index % half + half
    return step - half if bucket < 0 else step << bucket


def zigzag(plain: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where the next begins."""
    number = 0
    for place in range(9):
        byte = plain[at]
        at += 1
        if place == 8:
            number |= byte << 56
            break
        number |= (byte & 0x7F) << (7 * place)
        if not byte & 0x80:
            break
    return (number >> 1) ^ -(number & 1), at
