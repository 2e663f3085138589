"""Unpacking while the bytes come: .gz, .bz2, .xz and .zst, known by their first bytes and bounded."""

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from backports import zstd
from django.utils.translation import gettext as _

from .errors import NotUnpacked

PIECE = 1024 * 1024
XZ_MEMORY = 512 * 1024 * 1024
ZSTD_WINDOW_LOG = 27  # 128 MiB, what the zstd program itself takes without being told
FREE_BYTES = 256 * 1024 * 1024  # up to here any ratio will do: small sparse images shrink to nothing
MAX_RATIO = 500  # beyond it, what comes out is no image but a bomb
SUFFIXES = frozenset({".gz", ".bz2", ".xz", ".zst"})


class _Unpacker(Protocol):
    eof: bool
    needs_input: bool
    unused_data: bytes

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """zlib's object in the shape of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length
        return piece


_MAGIC: tuple[tuple[bytes, str, Callable[[], Any]], ...] = (
    (b"\x1f\x8b\x08", "gzip", _Gzip),
    (b"BZh", "bzip2", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\x00", "xz", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)),
    (
        b"\x28\xb5\x2f\xfd",
        "zstd",
        lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}),
    ),
)


def name_from(url: str) -> str:
    """The last part of an address, without the suffix of a packer: what is kept is unpacked."""
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in SUFFIXES else name


def packed_as(head: bytes) -> str:
    """gzip, bzip2, xz or zstd by the first bytes; "" for what is none of them."""
    return next((name for magic, name, _make in _MAGIC if head.startswith(magic)), "")


def unpacked(chunks: Iterable[bytes], kind: str, *, limit_bytes: int) -> Iterator[bytes]:
    """What comes out of `chunks`, which are packed as `kind`, in pieces of at most 1 MiB.

    Several streams one after the other count as one, as their programs have it. Raises NotUnpacked when it is damaged,
    ends too early, or becomes larger than `limit_bytes` or than any image would (a bomb).
    """
    make = next(maker for _magic, name, maker in _MAGIC if name == kind)
    unpacker: _Unpacker = make()
    came = went = 0
    for chunk in chunks:
        came += len(chunk)
        data = chunk
        while data or not (unpacker.eof or unpacker.needs_input):
            if unpacker.eof:
                if not (data := data.lstrip(b"\0")):  # padding between streams
                    break
                unpacker = make()
            piece = _step(unpacker, data)
            data = unpacker.unused_data if unpacker.eof else b""
            went += len(piece)
            _check_size(came, went, limit_bytes)
            if piece:
                yield piece
    if not unpacker.eof:
        raise NotUnpacked(_("The file is packed and ends too early: a part of it is missing. Get it again."))


def with_head(chunks: Iterator[bytes], length: int) -> tuple[Iterator[bytes], bytes]:
    """The same chunks, and at least their first `length` bytes, where there are as many."""
    first: list[bytes] = []
    held = 0
    while held < length and (chunk := next(chunks, None)) is not None:
        first.append(chunk)
        held += len(chunk)
    return chain(first, chunks), b"".join(first)


def _step(unpacker: _Unpacker, data: bytes) -> bytes:
    try:
        return unpacker.decompress(data, PIECE)
    except (OSError, EOFError, ValueError, MemoryError, lzma.LZMAError, zlib.error, zstd.ZstdError) as error:
        sentence = _("The file is packed and cannot be unpacked: it is damaged. Get it again.")
        raise NotUnpacked(sentence, details=str(error)) from error


def _check_size(came: int, went: int, limit: int) -> None:
    if went > FREE_BYTES and went > came * MAX_RATIO:
        sentence = _("The file unpacks to more than %(ratio)d times its size. That is no image, so it was refused.")
        raise NotUnpacked(sentence % {"ratio": MAX_RATIO})
    if went > limit:
        sentence = _("Unpacked, the file is larger than the room in the pool. Free some there, or use another pool.")
        raise NotUnpacked(sentence)
