"""A bootable ISO image of 50 KB whose whole system is one line on the serial port."""

from __future__ import annotations

SECTOR = 2048
GREETING = b"kvt booted from the ISO\r\n"

# 16-bit code at 0x7c00: write each byte at `text` to the first serial port (0x3f8), then halt.
_CODE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "be177c"  # mov si, 0x7c17
    "baf803"  # mov dx, 0x3f8
    "fc"  # cld
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "7403"  # jz done
    "ee"  # out dx, al
    "ebf8"  # jmp next
    "fa"  # done: cli
    "f4"  # hlt
    "ebfd"  # jmp done
)


def tiny_iso(volume_id: str = "KVT_TINY") -> bytes:
    """The image: volume descriptors at 16 to 18, the boot catalogue at 19, the boot sector at 20."""
    primary = bytearray(SECTOR)
    primary[0:7] = b"\x01CD001\x01"
    primary[8:40] = b"LINUX".ljust(32)
    primary[40:72] = volume_id.encode().ljust(32)
    primary[80:88] = (25).to_bytes(4, "little") + (25).to_bytes(4, "big")
    primary[128:132] = SECTOR.to_bytes(2, "little") + SECTOR.to_bytes(2, "big")
    boot = bytearray(SECTOR)
    boot[0:7] = b"\x00CD001\x01"
    boot[7:39] = b"EL TORITO SPECIFICATION".ljust(32, b"\0")
    boot[71:75] = (19).to_bytes(4, "little")
    end = bytearray(SECTOR)
    end[0:7] = b"\xffCD001\x01"
    sector = (_CODE.ljust(0x17, b"\x90") + GREETING + b"\0").ljust(510, b"\0") + b"\x55\xaa"
    return b"".join([bytes(16 * SECTOR), bytes(primary), bytes(boot), bytes(end), _catalogue(), sector]).ljust(
        25 * SECTOR, b"\0"
    )


def _catalogue() -> bytes:
    validation = bytearray(32)
    validation[0] = 1
    validation[30:32] = b"\x55\xaa"
    total = sum(int.from_bytes(validation[at : at + 2], "little") for at in range(0, 32, 2))
    validation[28:30] = (-total & 0xFFFF).to_bytes(2, "little")
    entry = bytearray(32)
    entry[0] = 0x88  # bootable, no emulation of a floppy
    entry[6:8] = (4).to_bytes(2, "little")  # sectors of 512 bytes to load
    entry[8:12] = (20).to_bytes(4, "little")
    return bytes(validation + entry).ljust(SECTOR, b"\0")
