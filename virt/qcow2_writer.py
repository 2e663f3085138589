"""A qcow2 written as a stream, so that it can go straight into a volume of any host: holes and zeros take no space.

The header comes last, over the empty first cluster: until then nobody takes what is there for an image.
https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable, Iterator

from virt.qcow2 import HEADER_BYTES, MAGIC

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
_PER_TABLE = CLUSTER // 8
_PER_REFCOUNT_BLOCK = CLUSTER // 2
_COPIED = 1 << 63  # refcount is exactly one
_ZEROS = bytes(CLUSTER)


class Qcow2Writer:
    """Takes what is on a disk in its order. `header` is right once `body` has ended."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.header = _ZEROS
        self._clusters = 1
        self._l1 = array("Q", bytes(8 * -(-capacity_bytes // (CLUSTER * _PER_TABLE))))

    def body(self, pieces: Iterable[tuple[int, bytes]]) -> Iterator[bytes]:
        """The image from its first byte on, for `pieces` (offset on the disk, a multiple of 64 KiB, and bytes)."""
        yield _ZEROS
        table, table_number = array("Q", _ZEROS), 0
        for offset, data in pieces:
            for start in range(0, len(data), CLUSTER):
                cluster = data[start : start + CLUSTER]
                if cluster == _ZEROS[: len(cluster)]:
                    continue
                l1_index, l2_index = divmod((offset + start) // CLUSTER, _PER_TABLE)
                if l1_index != table_number:
                    yield from self._close(table, table_number)
                    table, table_number = array("Q", _ZEROS), l1_index
                table[l2_index] = self._next(1) | _COPIED
                yield cluster.ljust(CLUSTER, b"\0")
        yield from self._close(table, table_number)
        yield from self._end()

    def _close(self, table: array[int], number: int) -> Iterator[bytes]:
        if any(table):
            self._l1[number] = self._next(1) | _COPIED
            yield _big_endian(table)

    def _next(self, clusters: int) -> int:
        """Where the next clusters lie."""
        at = self._clusters * CLUSTER
        self._clusters += clusters
        return at

    def _end(self) -> Iterator[bytes]:
        l1_clusters = -(-len(self._l1) * 8 // CLUSTER)
        l1_at = self._next(l1_clusters)
        yield _padded(_big_endian(self._l1), l1_clusters)
        blocks = table_clusters = 1
        while True:  # these count themselves, too
            total = self._clusters + blocks + table_clusters
            wanted = -(-total // _PER_REFCOUNT_BLOCK), -(-blocks * 8 // CLUSTER)
            if (blocks, table_clusters) == wanted:
                break
            blocks, table_clusters = wanted
        places = array("Q", (self._next(1) for _block in range(blocks)))
        for number in range(blocks):
            ones = min(total - number * _PER_REFCOUNT_BLOCK, _PER_REFCOUNT_BLOCK)
            yield _padded(b"\0\1" * ones, 1)
        table_at = self._next(table_clusters)
        yield _padded(_big_endian(places), table_clusters)
        self.header = self._header(l1_at, table_at, table_clusters)

    def _header(self, l1_at: int, refcounts_at: int, refcount_clusters: int) -> bytes:
        start = struct.pack(">4sIQIIQIIQQI", MAGIC, 3, 0, 0, CLUSTER_BITS, self.capacity_bytes, 0, len(self._l1), l1_at,
                            refcounts_at, refcount_clusters)  # fmt: skip
        # No snapshots, no features, refcounts of 2**4 bits.
        return _padded(start + struct.pack(">IQQQQII", 0, 0, 0, 0, 0, 4, HEADER_BYTES), 1)


def _big_endian(table: array[int]) -> bytes:
    return struct.pack(f">{len(table)}Q", *table)


def _padded(data: bytes, clusters: int) -> bytes:
    return data.ljust(clusters * CLUSTER, b"\0")
