"""What may be fetched and what is refused, without a host: addresses, packed files, checksums, images."""

import bz2
import gzip
import ipaddress
import lzma
import os
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress

import pytest
from backports import zstd

from storage.fetching import checksums, unpack
from storage.fetching.addresses import is_allowed, parse_url, resolve
from storage.fetching.errors import AddressRefused, FetchFailed, NotUnpacked
from virt import image_guard
from virt.errors import Invalid

MIB = 1024**2
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "169.254.169.254", "10.1.2.3", "192.168.1.1", "172.16.0.1", "100.64.0.1", "0.0.0.0",
     "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::a9fe:a9fe",
     "2002:7f00:1::", "ff02::1", "::127.0.0.1", "fec0::1"],
)  # fmt: skip
def test_private_addresses_are_not_asked(address):
    assert not is_allowed(ipaddress.ip_address(address), [])


def test_public_addresses_are_and_those_that_the_administrator_names():
    assert is_allowed(ipaddress.ip_address("151.101.2.132"), [])
    assert is_allowed(ipaddress.ip_address("2a04:4e42::644"), [])
    allowed = [ipaddress.ip_network("10.1.0.0/16")]
    assert is_allowed(ipaddress.ip_address("10.1.2.3"), allowed)
    assert not is_allowed(ipaddress.ip_address("10.2.0.1"), allowed)
    assert is_allowed(ipaddress.ip_address("::ffff:10.1.2.3"), allowed)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://example.org/a.iso", "file:///etc/shadow", "http://", "https://user:secret@example.org/a.iso",
     "http://example.org:99999/", "http://a b/", "http://example.org/\r\nHost: x", "gopher://x", "//example.org/a"],
)  # fmt: skip
def test_what_is_no_address_of_a_file_is_refused(url):
    with pytest.raises(Invalid):
        parse_url(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254"])
def test_a_private_address_in_the_url_itself_is_refused_at_once(host):
    with pytest.raises(AddressRefused, match="KVMWEB_FETCH_NETWORKS"):
        parse_url(f"http://{host}/latest/meta-data")


def test_a_name_is_judged_by_its_addresses_and_the_connection_goes_to_that_one(monkeypatch):
    answers = iter([["203.0.113.9"], ["127.0.0.1"], ["151.101.2.132", "10.0.0.1"], ["151.101.2.132"]])

    def lookup(_host, port, **_options):
        return [(2, 1, 6, "", (address, port)) for address in next(answers)]

    monkeypatch.setattr("socket.getaddrinfo", lookup)
    parts = parse_url("https://images.example.org/d/a b.iso?x=1".replace(" ", "%20"))
    for _private in range(3):
        with pytest.raises(AddressRefused):
            resolve(parts)
    target = resolve(parts)
    assert (target.address, target.host, target.path) == ("151.101.2.132", "images.example.org", "/d/a%20b.iso?x=1")


@pytest.mark.parametrize("kind", PACKERS)
def test_packed_files_come_out_as_they_went_in(kind):
    content = os.urandom(MIB) + bytes(3 * MIB)
    packed = PACKERS[kind](content)
    assert unpack.packed_as(packed[:6]) == kind
    pieces = [packed[at : at + 70_000] for at in range(0, len(packed), 70_000)]
    out = list(unpack.unpacked(pieces, kind, limit_bytes=10 * MIB))
    assert b"".join(out) == content
    assert max(map(len, out)) <= MIB
    # Several streams in one file, as parallel packers write them.
    twice = list(unpack.unpacked([packed, packed[:99], packed[99:]], kind, limit_bytes=20 * MIB))
    assert b"".join(twice) == content * 2


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_that_is_damaged_cut_off_or_too_large_is_refused(kind):
    packed = PACKERS[kind](os.urandom(MIB))
    with pytest.raises(NotUnpacked, match="ends too early"):
        list(unpack.unpacked([packed[:-20]], kind, limit_bytes=10 * MIB))
    with pytest.raises(NotUnpacked, match=r"damaged|too early"):
        list(unpack.unpacked([packed[:4], b"\xff" * 5000, packed[5004:]], kind, limit_bytes=10 * MIB))
    with pytest.raises(NotUnpacked, match="larger than the room"):
        list(unpack.unpacked([packed], kind, limit_bytes=MIB // 2))


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "zstd"])
def test_a_bomb_is_stopped_long_before_the_pool_is_full(kind, monkeypatch):
    monkeypatch.setattr(unpack, "FREE_BYTES", 8 * MIB)
    packed = PACKERS[kind](bytes(256 * MIB))
    pieces: list[bytes] = []
    with pytest.raises(NotUnpacked, match="no image"):
        pieces.extend(map(len, unpack.unpacked([packed], kind, limit_bytes=1 << 60)))
    assert sum(pieces) <= max(8 * MIB, len(packed) * unpack.MAX_RATIO)


def test_checksums_are_found_in_the_lists_that_vendors_publish():
    number = "a" * 64
    text = f"# comment\n{number} *ubuntu.iso\n{'b' * 128}  ./x/debian.qcow2\nSHA256 (Rocky.iso) = {'C' * 64}\nnoise\n"
    assert checksums.from_list(text, "https://e.org/24.04/ubuntu.iso?mirror=1") == ("sha256", number)
    assert checksums.from_list(text, "https://e.org/debian.qcow2").algorithm == "sha512"
    assert checksums.from_list(text, "https://e.org/Rocky.iso").digest == "c" * 64
    with pytest.raises(FetchFailed):
        checksums.from_list(text, "https://e.org/other.iso")
    assert checksums.from_list(f"{number}\n", "https://e.org/other.iso").digest == number
    assert unpack.name_from("https://e.org/d/FreeBSD%2014.iso.xz?x#y") == "FreeBSD 14.iso"
    with pytest.raises(Invalid):
        checksums.parse_checksum("d41d8cd98f00b204e9800998ecf8427e")  # MD5 proves nothing


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def test_images_that_lead_to_other_files_are_refused(tmp_path):
    qemu_img("create", "-f", "raw", tmp_path / "plain.raw", "4M")
    bad = {
        "shadow.qcow2": ("-f", "qcow2", "-u", "-b", "/etc/shadow", "-F", "raw"),
        "protocol.qcow2": ("-f", "qcow2", "-u", "-b", "nbd:127.0.0.1:10809", "-F", "raw"),
        "data.qcow2": ("-f", "qcow2", "-o", f"data_file={tmp_path}/data.raw,data_file_raw=on"),
        "backed.qed": ("-f", "qed", "-b", tmp_path / "plain.raw", "-F", "raw"),
        "flat.vmdk": ("-f", "vmdk", "-o", "subformat=monolithicFlat"),
    }
    for name, options in bad.items():
        qemu_img("create", *options, tmp_path / name, "4M")
    qemu_img("create", "-f", "vmdk", tmp_path / "base.vmdk", "4M")
    qemu_img("create", "-f", "vmdk", "-b", tmp_path / "base.vmdk", "-F", "vmdk", tmp_path / "child.vmdk")
    for name in (*bad, "child.vmdk"):
        head = (tmp_path / name).read_bytes()[: image_guard.HEAD_BYTES]
        with pytest.raises(image_guard.ReferenceRefused, match=name):
            image_guard.check_references(head, name)


@pytest.mark.parametrize("described_at", [0, 100])
def test_a_vmdk_that_hides_its_parent_where_qemu_finds_it_is_refused(described_at):
    header = struct.pack("<4sIIQQQQIQQQ", b"KDMV", 1, 3, 2048, 128, described_at, 20, 512, 21, 26, 128)
    harmless = b"# Disk DescriptorFile\nversion=1\nparentCID=ffffffff\n".ljust(20 * 512, b"\0")
    head = header.ljust(512, b"\0") + b'parentFileNameHint="/etc/shadow"\n'.ljust(99 * 512, b"\0") + harmless
    with pytest.raises(image_guard.ReferenceRefused, match="lies on another image"):
        image_guard.check_references(head, "disk.vmdk")


@pytest.mark.parametrize(
    "magic",
    [b"KDMV", b"COWD", b"QFI\xfb\0\0\0\2", b"vhdxfile", b"conectix", b"QED\0", b"\0" * 64 + b"\x7f\x10\xda\xbe"],
)
def test_what_only_begins_like_an_image_breaks_nothing(magic):
    for length in (len(magic), 71, 80, 511):
        with suppress(image_guard.ReferenceRefused):
            image_guard.check_references(magic.ljust(length, b"\0")[: max(length, len(magic))], "cut")


@pytest.mark.parametrize("kind", ["raw", "qcow2", "vmdk", "vpc", "vhdx", "vdi"])
def test_images_that_stand_alone_are_taken(kind, tmp_path):
    qemu_img("create", "-f", kind, tmp_path / "disk", "4M")
    head = (tmp_path / "disk").read_bytes()[: image_guard.HEAD_BYTES]
    image_guard.check_references(head, "disk")
    assert image_guard.kind_of(head) == {"raw": "", "vpc": "vhd"}.get(kind, kind)
