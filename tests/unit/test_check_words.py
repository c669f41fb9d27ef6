# SPDX-License-Identifier: LGPL-2.1-or-later
"""check() on words it was never meant for: it survives them, and never shows a key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dmctl.check import DeviceFacts, check, format_findings
from dmctl.check.block_shapes import verity_hash_blocks
from dmctl.check.shapes import SHAPES
from dmctl.table import Line, Table

DEVICES = {name: DeviceFacts(1 << 20) for name in ("/dev/a", "7:0")} | {"/dev/k": DeviceFacts(1 << 20, 4096)}
KEY = "c0ffee5eedc0ffee5eed"
KEYS = [
    KEY,
    "1234567890123456",  # no letters
    "secretpassphrase",
    f"internal_hash:hmac(sha256):{KEY}",
    f"sector_size:{KEY}",
    f"block_size:{KEY}",
    f":{KEY}",
    f":{KEY}:user:key",
    f"integrity:{KEY}",
    f"7:{KEY}",
]


@given(
    st.sampled_from(["crypt", "integrity"]),
    st.lists(st.sampled_from([*KEYS, "aes", "0", "1", "2", "99", "/dev/a", "7:0", "-", "J", "4"]), max_size=9),
)
def test_no_key_in_a_message(target: str, words: list[str]) -> None:
    table = Table([Line(0, 13, target, " ".join(words)), Line(13, 8, "zero")])
    text = format_findings(check(table, device=DEVICES.get), "t")
    for secret in (KEY, "1234567890123456", "secretpassphrase"):
        assert secret not in text


@given(st.lists(st.sampled_from(sorted(SHAPES)), min_size=1, max_size=1), st.data())
def test_any_words_are_survived(targets: list[str], data: st.DataObject) -> None:
    word = st.one_of(
        st.sampled_from(["/dev/a", "/dev/k", "/dev/z", "0", "1", "2", "8", "64", "4096", "-", "P", "s", "00" * 32]),
        st.integers(0, 2**70).map(str),
        st.text(max_size=5),
    )
    words = data.draw(st.lists(word, max_size=14))
    check(Table([Line(0, 64, targets[0], " ".join(words))]), device=DEVICES.get)


@pytest.mark.parametrize(
    ("blocks", "hash_block", "digest", "expected"),
    [
        # By hand: 128 digests a block for sha256 in 4 KiB, 2 for sha256 in 64 bytes.
        (1, 4096, 32, 0),
        (2, 4096, 32, 1),
        (128, 4096, 32, 1),
        (129, 4096, 32, 2 + 1),
        (128 * 128 + 1, 4096, 32, 129 + 2 + 1),
        (5, 64, 32, 3 + 2 + 1),
        (129, 4096, 20, 2 + 1),  # sha1 is padded to 32 bytes
    ],
)
def test_verity_hash_blocks(blocks: int, hash_block: int, digest: int, expected: int) -> None:
    assert verity_hash_blocks(blocks, hash_block, digest) == expected
