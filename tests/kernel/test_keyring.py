# SPDX-License-Identifier: LGPL-2.1-or-later
"""The key that a request names: there for its length, and at its end of no use to anyone."""

import pytest

from dmctl.libdm.keyring import UserKey
from keyring import keys_of_this_thread, usable_keys


def test_there_and_gone():
    for number in range(3):
        name = f"dmctl-test{number}"
        with UserKey(name, b"payload"):
            assert len(keys_of_this_thread()) == 1 and usable_keys() == [name]
        assert keys_of_this_thread() == [] and usable_keys() == []


def test_gone_after_an_error():
    with pytest.raises(LookupError), UserKey("dmctl-test", b"payload"):
        raise LookupError
    assert keys_of_this_thread() == [] and usable_keys() == []
