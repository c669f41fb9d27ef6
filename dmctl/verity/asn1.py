# SPDX-License-Identifier: LGPL-2.1-or-later
"""The few pieces of ASN.1 that a signature is made of: elements are written as DER, and read as BER.

By hand, as it is little: nobody keeps up a library for it that the kernel's parser would agree with more, and what
`cryptography` offers neither reads a SignedData nor makes one without having the private key.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

INTEGER, OCTET_STRING, NULL, OID = 0x02, 0x04, 0x05, 0x06
SEQUENCE, SET = 0x30, 0x31
CONTEXT_0_PRIMITIVE, CONTEXT_0, CONTEXT_1 = 0x80, 0xA0, 0xA1

_CONSTRUCTED = 0x20
# Deeper than any signature. Below what Python's own stack of calls allows.
_MAX_DEPTH = 40


class DerError(ValueError):
    """Bytes are not the ASN.1 that they should be; the text is the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element: its tag (class, constructed bit and number in one byte), and what it holds, as DER."""

    tag: int
    value: bytes

    @property
    def der(self) -> bytes:
        """The whole element."""
        return encode(self.tag, self.value)

    def expect(self, tag: int, what: str) -> "Element":
        """Itself. DerError: it is something else."""
        if self.tag != tag:
            raise DerError(f"there is no {what} where it should be")
        return self

    def children(self) -> Iterator["Element"]:
        """The elements in a constructed one. DerError: its bytes are none."""
        at = 0
        while at < len(self.value):
            element, at = _read(self.value, at, len(self.value), 0)
            yield element


def parse(data: bytes) -> Element:
    """The one element that the bytes are, with lengths as DER has them whatever they were.

    DerError: they are none, end too early or go on behind it.
    """
    element, end = _read(data, 0, len(data), 0)
    if end != len(data):
        raise DerError(f"there are {len(data) - end} bytes too many at the end")
    return element


def encode(tag: int, *parts: bytes) -> bytes:
    """An element of these parts, one behind the other."""
    length = sum(map(len, parts))
    if length < 0x80:
        header = bytes((tag, length))
    else:
        digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
        header = bytes((tag, 0x80 | len(digits))) + digits
    return header + b"".join(parts)


def integer(number: int) -> bytes:
    """An INTEGER, not negative."""
    return encode(INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER from its dotted form."""
    first, second, *rest = map(int, dotted.split("."))
    return encode(OID, b"".join(_arc(arc) for arc in (first * 40 + second, *rest)))


def dotted(value: bytes) -> str:
    """The dotted form of what an OBJECT IDENTIFIER holds. DerError: it is none."""
    if not value or value[-1] & 0x80:
        raise DerError("an object identifier does not end")
    arcs, arc = [], 0
    for byte in value:
        arc = arc << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def set_of(elements: Iterable[bytes]) -> bytes:
    """A SET OF, in DER's order."""
    return encode(SET, *sorted(elements))


def _arc(arc: int) -> bytes:
    septets = [arc & 0x7F]
    while arc := arc >> 7:
        septets.insert(0, arc & 0x7F | 0x80)
    return bytes(septets)


def _read(data: bytes, start: int, limit: int, depth: int) -> tuple[Element, int]:
    """The element at an offset, and where it ends."""
    if depth > _MAX_DEPTH:
        raise DerError("elements lie too deep in each other")
    if limit - start < 2:
        raise DerError("an element has no end")
    tag, length, at = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F:
        raise DerError("there is a tag that no signature has")
    if length == 0x80:
        return _read_indefinite(data, start, limit, depth)
    if length > 0x80:
        digits = length & 0x7F
        if digits > min(8, limit - at):
            raise DerError("an element has no end")
        length = int.from_bytes(data[at : at + digits], "big")
        at += digits
    end = at + length
    if end > limit:
        raise DerError("an element has no end")
    if not tag & _CONSTRUCTED:
        return Element(tag, data[at:end]), end
    parts = []
    while at < end:
        element, at = _read(data, at, end, depth + 1)
        parts.append(element.der)
    return Element(tag, b"".join(parts)), end


def _read_indefinite(data: bytes, start: int, limit: int, depth: int) -> tuple[Element, int]:
    """An element that goes on to an end mark. The kernel reads these too, in asn1_ber_decoder()."""
    tag, at, parts = data[start], start + 2, []
    if not tag & _CONSTRUCTED:
        raise DerError("an element has no end")
    while data[at : min(at + 2, limit)] != b"\0\0":
        element, at = _read(data, at, limit, depth + 1)
        parts.append(element.der)
    return Element(tag, b"".join(parts)), at + 2
