"""The datagram by which an agent says that its node is under pressure."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reserve_agent.controller.pressure import (
    MESSAGE_BYTES,
    Kind,
    PressureMessage,
    Refused,
    decode,
    encode,
)

TOKEN = bytes(range(32))
ENTER = PressureMessage(Kind.ENTER, "n1", 7, 1_234_567_890)
NUMBERS = st.integers(0, 2**64 - 1)


def signed(body: bytes, token: bytes = TOKEN) -> bytes:
    return body + hmac.digest(token, body, "sha256")


def refused(datagram: bytes) -> tuple[str, bool]:
    with pytest.raises(Refused) as caught:
        decode(datagram, TOKEN)
    return caught.value.reason, caught.value.malformed


@given(st.sampled_from(Kind), st.integers(1, 9999), NUMBERS, NUMBERS)
def test_what_is_said_is_heard(kind: Kind, number: int, sequence: int, at: int) -> None:
    message = PressureMessage(kind, f"n{number}", sequence, at)
    datagram = encode(message, TOKEN)
    assert len(datagram) == MESSAGE_BYTES == 72
    assert decode(datagram, TOKEN) == message


def test_the_bytes_are_as_documented() -> None:
    body = b"CBPM\x01\x01\0\0n1" + bytes(14) + (7).to_bytes(8, "big")
    body += (1_234_567_890).to_bytes(8, "big")
    assert encode(ENTER, TOKEN) == signed(body)


@given(st.integers(0, MESSAGE_BYTES * 8 - 1))
def test_a_changed_bit_is_noticed(bit: int) -> None:
    datagram = bytearray(encode(ENTER, TOKEN))
    datagram[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused):
        decode(bytes(datagram), TOKEN)


@given(st.binary(max_size=200))
def test_no_datagram_does_more_than_be_refused(datagram: bytes) -> None:
    with pytest.raises(Refused):
        decode(datagram, TOKEN)
    with pytest.raises(Refused):
        decode(b"CBPM" + datagram, TOKEN)


def test_a_wrong_token_and_a_missing_one_are_told_apart() -> None:
    assert refused(encode(ENTER, bytes(32))) == ("wrong token", False)
    body = encode(ENTER, TOKEN)[:40]
    assert refused(body) == ("no token", False)
    assert refused(body + bytes(32)) == ("no token", False)


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "no pressure message"),
        (b"GET / HTTP/1.1\r\n\r\n", "no pressure message"),
        (encode(ENTER, TOKEN) + b"x", "wrong length"),
        (encode(ENTER, TOKEN)[:-1], "wrong length"),
        (signed(b"CBPM\x02\x01\0\0n1" + bytes(30)), "unknown version"),
        (signed(b"CBPM\x01\x01\0\1n1" + bytes(30)), "unknown version"),
        (signed(b"CBPM\x01\x03\0\0n1" + bytes(30)), "unknown kind"),
        (signed(b"CBPM\x01\x01\0\0" + bytes(32)), "no node name"),
        (signed(b"CBPM\x01\x01\0\0n1\0x" + bytes(28)), "no node name"),
        (signed(b"CBPM\x01\x01\0\0n\xc3\xa9" + bytes(29)), "no node name"),
    ],
)
def test_what_is_no_message_is_malformed(datagram: bytes, reason: str) -> None:
    assert refused(datagram) == (reason, True)


def test_a_name_that_does_not_fit_is_the_senders_mistake() -> None:
    for name in ("", "n" * 17):
        with pytest.raises(ValueError, match="node name"):
            encode(PressureMessage(Kind.ENTER, name, 1, 1), TOKEN)
