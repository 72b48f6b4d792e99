# SPDX-License-Identifier: Apache-2.0
"""framing against the `cobs` package and zlib, and against everything that can happen to a frame on a wire."""

import random
import zlib

import pytest
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from icsort.sim.bit_true.framing import (
    MAX_FRAME_BYTES,
    Decoder,
    FrameError,
    MessageType,
    cobs_decode,
    cobs_encode,
    decode,
    encode,
)

EDGES = (
    [bytes(n) for n in (1, 2, 254, 255, 600)]
    + [b"\x01" * n for n in (1, 253, 254, 255, 508, 509, 762)]
    + [b"\x01" * 254 + b"\0", b"\0" + b"\x01" * 254, b"\x01" * 253 + b"\0", b"\x01" * 254 + b"\0" + b"\x02" * 254]
)
mostly_zeros = st.lists(st.sampled_from([0, 0, 0, 1, 255]), max_size=600).map(bytes)
without_zeros = st.lists(st.integers(1, 255), min_size=240, max_size=600).map(bytes)
contents = st.one_of(st.binary(max_size=600), mostly_zeros, without_zeros)
payloads = st.one_of(st.binary(min_size=2, max_size=300), mostly_zeros.filter(lambda p: len(p) >= 2), without_zeros)


def reference(payload: bytes) -> bytes:
    """A frame by other people's code."""
    return cobs.encode(payload + zlib.crc32(payload).to_bytes(4, "little")) + b"\0"


def event_payload(seed: int, length: int = 174) -> bytes:
    return bytes([MessageType.EVENT, 7]) + random.Random(seed).randbytes(length - 2)


@given(contents)
def test_cobs_equals_the_package(data: bytes) -> None:
    assert cobs_encode(data) == cobs.encode(data)
    assert cobs_decode(cobs.encode(data)) == data


@pytest.mark.parametrize("data", EDGES, ids=range(len(EDGES)))
def test_cobs_at_block_ends(data: bytes) -> None:
    assert cobs_encode(data) == cobs.encode(data)
    assert cobs_decode(cobs.encode(data)) == data


@given(st.binary(max_size=40))
def test_cobs_refuses_what_the_package_refuses(data: bytes) -> None:
    try:
        expected = cobs.decode(data)
    except cobs.DecodeError:
        with pytest.raises(FrameError):
            cobs_decode(data)
    else:
        assert cobs_decode(data) == expected


@given(payloads)
def test_frames(payload: bytes) -> None:
    assert encode(payload) == reference(payload)
    assert decode(reference(payload)[:-1]) == payload


@pytest.mark.parametrize("payload", [b"\x01\x05\x00\x00", b"\x02\x06\x44\x00\xff\xff\x00\x00", event_payload(1)])
def test_every_flipped_bit_is_caught(payload: bytes) -> None:
    """A flip may also make or remove a zero byte: whatever comes out, it is not a payload that was not sent."""
    frame = reference(payload)
    good = b"\x01\x00\x04\x00"
    for position in range(8 * len(frame)):
        damaged = bytearray(frame)
        damaged[position // 8] ^= 1 << position % 8
        decoder = Decoder()
        received = decoder.feed(bytes(damaged) + b"\0" + reference(good))
        assert received == [good], f"bit {position}"
        assert decoder.bad >= 1, f"bit {position}"


@given(st.lists(payloads, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_pieces_of_any_size(sent: list[bytes], rng: random.Random) -> None:
    stream = b"".join(reference(payload) for payload in sent)
    decoder = Decoder()
    received = []
    while stream:
        size = rng.randint(1, 40)
        received += decoder.feed(stream[:size])
        stream = stream[size:]
    assert received == sent
    assert (decoder.good, decoder.bad) == (len(sent), 0)


def test_byte_by_byte_behind_garbage() -> None:
    payload = event_payload(2)
    decoder = Decoder()
    stream = b"\xa5garbage\x01" + b"\0" + reference(payload) + b"\0\0" + reference(payload)
    received = [p for i in range(len(stream)) for p in decoder.feed(stream[i : i + 1])]
    assert received == [payload, payload]
    assert (decoder.good, decoder.bad) == (2, 1)


def test_garbage_without_a_zero_spoils_one_frame_only() -> None:
    payload = event_payload(3)
    decoder = Decoder()
    assert decoder.feed(b"\xa5\x5a" + reference(payload) + reference(payload)) == [payload]
    assert (decoder.good, decoder.bad) == (1, 1)


def test_every_truncation_is_caught() -> None:
    payload = event_payload(4)
    frame = reference(payload)
    for keep in range(1, len(frame) - 1):
        decoder = Decoder()
        assert decoder.feed(frame[:keep] + b"\0" + frame) == [payload], keep
        assert decoder.bad == 1, keep


def test_over_long_frame_is_dropped_and_does_not_grow() -> None:
    decoder = Decoder()
    intact = bytes([MessageType.EVENT, 0]) + b"\x01" * MAX_FRAME_BYTES
    assert decoder.feed(reference(intact)) == []
    for _ in range(100):
        decoder.feed(b"\x01" * 1000)
    assert len(decoder._frame) == MAX_FRAME_BYTES + 1
    payload = event_payload(5)
    assert decoder.feed(b"\0" + reference(payload)) == [payload]
    assert (decoder.good, decoder.bad) == (1, 2)


@pytest.mark.parametrize("limit", [9, 40, MAX_FRAME_BYTES])
def test_a_frame_of_just_the_limit_is_taken_and_one_byte_more_is_not(limit: int) -> None:
    """Encoded bytes without the closing zero, whole or byte by byte; what follows is intact."""
    good = reference(b"\x01\x05")
    overhead = 0 if limit <= 254 else limit // 255  # COBS adds a byte in 254, beside the first
    for extra, taken in ((0, True), (1, False)):
        payload = bytes([MessageType.EVENT, 7]) + b"\x05" * (limit + extra - 7 - overhead)
        frame = reference(payload)
        assert len(frame) - 1 == limit + extra
        for size in (1, len(frame)):
            decoder = Decoder(limit)
            pieces = [frame[at : at + size] for at in range(0, len(frame), size)]
            received = [payload for piece in [*pieces, good] for payload in decoder.feed(piece)]
            assert received == [payload, b"\x01\x05"][not taken :]
            assert (decoder.good, decoder.bad) == (1 + taken, not taken)


def test_intact_but_too_short() -> None:
    with pytest.raises(FrameError, match="too few"):
        decode(reference(b"\x01")[:-1])


def request(draw: random.Random) -> bytes:
    """The payload of a READ or WRITE."""
    kind = draw.choice([MessageType.READ, MessageType.WRITE])
    return bytes([kind, draw.getrandbits(8)]) + draw.randbytes(2 if kind is MessageType.READ else 6)


def test_a_million_random_bytes_then_a_frame(seed: int) -> None:
    draw = random.Random(seed)
    decoder = Decoder()
    noise = draw.randbytes(1_000_000)
    assert decoder.feed(noise + b"\0") == []
    assert decoder.bad == sum(bool(piece) for piece in noise.split(b"\0"))
    payload = request(draw)
    assert decoder.feed(reference(payload)) == [payload]


def test_one_flipped_bit_in_each_of_ten_thousand_frames(seed: int) -> None:
    draw = random.Random(seed)
    decoder = Decoder()
    for _ in range(10_000):
        damaged = bytearray(reference(request(draw)))
        at = draw.randrange(8 * len(damaged))
        damaged[at // 8] ^= 1 << at % 8
        assert decoder.feed(bytes(damaged) + b"\0") == []
    assert decoder.bad >= 10_000
    assert decoder.good == 0
