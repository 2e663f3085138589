"""What a viewer's client may say to the guest, and what is dropped on the way."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consoles.rfb import NotRfb, ViewOnlyFilter

HELLO = b"RFB 003.008\n"
NO_AUTH, SHARED, EXCLUSIVE = b"\x01", b"\x01", b"\x00"
PIXEL_FORMAT = bytes([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 0, 8, 16, 0, 0, 0])
UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 1024, 768)
KEY = struct.pack(">BBxxI", 4, 1, 0xFF0D)
POINTER = struct.pack(">BBHH", 5, 1, 10, 20)
CUT = struct.pack(">BxxxI", 6, 5) + b"paste"
EXTENDED_CUT = struct.pack(">Bxxxi", 6, -8) + b"\x10\0\0\1zzzz"
RESIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
QEMU_KEY = struct.pack(">BBHII", 255, 0, 1, 0x61, 30)
QEMU_AUDIO_ON = struct.pack(">BBH", 255, 1, 0)
QEMU_AUDIO_FORMAT = struct.pack(">BBHBBI", 255, 1, 2, 0, 2, 44100)
POWER_OFF = struct.pack(">BxBB", 250, 1, 2)
FENCE = struct.pack(">BxxxIB", 248, 1, 3) + b"abc"
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 1024, 768)
PASSED = [PIXEL_FORMAT, UPDATE, FENCE, CONTINUOUS]
DROPPED = [KEY, POINTER, CUT, EXTENDED_CUT, RESIZE, QEMU_KEY, QEMU_AUDIO_ON, QEMU_AUDIO_FORMAT, POWER_OFF]


def encodings(*numbers: int) -> bytes:
    return struct.pack(f">BxH{len(numbers)}i", 2, len(numbers), *numbers)


def connected() -> ViewOnlyFilter:
    viewer = ViewOnlyFilter()
    assert viewer.feed(HELLO + NO_AUTH + SHARED) == HELLO + NO_AUTH + SHARED
    return viewer


@pytest.mark.parametrize("message", DROPPED, ids=lambda message: f"type {message[0]}")
def test_what_touches_the_guest_is_dropped_and_what_follows_goes_on(message):
    assert connected().feed(UPDATE + message + message + UPDATE) == UPDATE + UPDATE


@pytest.mark.parametrize("message", PASSED, ids=lambda message: f"type {message[0]}")
def test_what_a_picture_needs_goes_on(message):
    assert connected().feed(message) == message


def test_a_viewer_does_not_throw_others_out():
    assert ViewOnlyFilter().feed(HELLO + NO_AUTH + EXCLUSIVE)[-1:] == SHARED


def test_a_password_is_answered():
    viewer = ViewOnlyFilter()
    answer = bytes(range(16))
    assert viewer.feed(HELLO + b"\x02" + answer + SHARED + UPDATE) == HELLO + b"\x02" + answer + SHARED + UPDATE


def test_the_server_is_not_told_of_pointer_events_with_two_lengths():
    assert connected().feed(encodings(7, -316, -223)) == encodings(7, -223)


def test_a_huge_clipboard_is_skipped_without_being_kept():
    viewer = connected()
    assert viewer.feed(struct.pack(">BxxxI", 6, 50_000_000)) == b""
    for _ in range(50):
        assert viewer.feed(bytes(1_000_000)) == b""
        assert len(viewer._buffer) == 0
    assert viewer.feed(UPDATE) == UPDATE


@pytest.mark.parametrize("said", [b"RFB 003.003\n", b"RFB 004.001\n", b"GET / HTTP/1"])
def test_a_version_in_which_the_server_chooses_is_refused(said):
    with pytest.raises(NotRfb):
        ViewOnlyFilter().feed(said)


@pytest.mark.parametrize("security", [b"\x13", b"\x10", b"\x00"])
def test_a_security_type_that_could_hide_messages_is_refused(security):
    with pytest.raises(NotRfb):
        ViewOnlyFilter().feed(HELLO + security)


@pytest.mark.parametrize("message", [bytes([7]) * 12, bytes([249]) * 12, bytes([255, 2]) + bytes(12)])
def test_an_unknown_message_ends_the_console(message):
    with pytest.raises(NotRfb):
        connected().feed(message)


@given(st.lists(st.sampled_from([*PASSED, *DROPPED, encodings(0, 1, 5)]), max_size=12), st.data())
def test_how_the_stream_is_cut_changes_nothing(messages, data):
    stream = HELLO + NO_AUTH + SHARED + b"".join(messages)
    wanted = HELLO + NO_AUTH + SHARED + b"".join(m for m in messages if m not in DROPPED)
    viewer, passed = ViewOnlyFilter(), b""
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        passed += viewer.feed(stream[:size])
        stream = stream[size:]
    assert passed == wanted


@given(st.binary(max_size=400))
def test_no_bytes_whatever_bring_a_key_through(noise):
    """Only whole messages of the short list come out, whatever goes in."""
    viewer = connected()
    try:
        passed = viewer.feed(noise)
    except NotRfb:
        return
    while passed:
        kind = passed[0]
        assert kind in (0, 2, 3, 150, 248)
        length = {0: 20, 3: 10, 150: 10}.get(kind) or (
            9 + passed[8] if kind == 248 else 4 + 4 * struct.unpack_from(">H", passed, 2)[0]
        )
        assert len(passed) >= length
        passed = passed[length:]
