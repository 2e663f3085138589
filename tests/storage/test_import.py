"""Machines and disks of other hypervisors: looked into, refused where they lead elsewhere, converted, nothing left."""

import gzip
import io
import os
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from jobs.models import Job, JobUndo
from storage.importing import services, tasks
from storage.inventory import refresh_pool
from storage.models import Iso, Volume
from tests.virt.test_first_bytes import EFI, gpt, mbr
from virt import appliance, disk_copy
from virt.errors import Invalid, NotImportable, WrongState
from virt.image_guard import ReferenceRefused

pytestmark = pytest.mark.libvirt
MIB = 1024**2
OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf">
<References>{files}</References>
<DiskSection><Info/>{disks}</DiskSection>
<VirtualSystem ovf:id="vm"><Name>Shop server</Name>
<OperatingSystemSection ovf:id="1"><Description>{system}</Description></OperatingSystemSection>
<VirtualHardwareSection>
<Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType>
<rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType>
<rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
<Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
<Item><rasd:InstanceID>9</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
{items}<vmw:Config vmw:key="firmware" vmw:value="efi"/></VirtualHardwareSection></VirtualSystem></Envelope>"""
DRIVE = (
    "<Item><rasd:InstanceID>1{n}</rasd:InstanceID><rasd:HostResource>ovf:/disk/vmdisk{n}</rasd:HostResource>"
    "<rasd:Parent>3</rasd:Parent><rasd:ResourceType>17</rasd:ResourceType></Item>"
)


def ova(path: Path, disks: list[Path], *, system: str = "Debian 12", hrefs: list[str] | None = None) -> Path:
    names = hrefs or [disk.name for disk in disks]
    text = OVF.format(
        files="".join(f'<File ovf:id="f{n}" ovf:href="{name}"/>' for n, name in enumerate(names)),
        disks="".join(f'<Disk ovf:diskId="vmdisk{n}" ovf:fileRef="f{n}" ovf:capacity="8"/>' for n in range(len(names))),
        items="".join(DRIVE.format(n=n) for n in range(len(names))),
        system=system,
    ).encode()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("shop.ovf")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text))
        for disk in disks:
            archive.add(disk, disk.name)
    return path


def convert(source: Path, target: Path, image_format: str, *options: str) -> Path:
    command = ["qemu-img", "convert", "-f", "raw", "-O", image_format, *options, str(source), str(target)]
    subprocess.run(command, check=True)
    return target


@pytest.fixture
def disk(tmp_path) -> Path:
    """A disk with something in it and much nothing."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(os.urandom(3 * MIB))
        file.seek(9 * MIB)
        file.write(os.urandom(MIB))
        file.truncate(24 * MIB)
    return path


@pytest.fixture
def library(pool, settings):
    """The pool as the library, and its images after a look at it."""
    settings.ISO_DIR = pool.target_path

    def look(name: str) -> Iso:
        with pool.host.connect() as conn:
            refresh_pool(pool.host, conn, pool.name, rescan=True)
        Job.objects.active().delete()  # the check of the new file
        Iso.objects.filter(is_iso9660=None).update(is_iso9660=False, kind="appliance")
        return Iso.objects.select_related("volume__pool__host").get(volume__name=name)

    return look


def run(job: Job) -> Job:
    getattr(tasks, job.kind).run_here(job)
    job.refresh_from_db()
    return job


def same(volume: Volume, disk: Path) -> bool:
    command = ["qemu-img", "compare", "-f", volume.format, "-F", "raw", volume.path, str(disk)]
    return "identical" in subprocess.run(command, capture_output=True, text=True).stdout


def test_an_ova_is_looked_into_and_becomes_disks_that_the_wizard_offers(
    library, pool, new_pool, admin, disk, tmp_path, client
):
    disks = [
        convert(disk, tmp_path / "shop-1.vmdk", "vmdk", "-o", "subformat=streamOptimized"),
        convert(disk, tmp_path / "shop-2.vmdk", "vmdk"),
    ]
    ova(Path(pool.target_path, "shop.ova"), disks)
    iso, store = library("shop.ova"), new_pool()
    with pytest.raises(WrongState, match="looked into"):
        services.import_disks(iso, store, "shop", by=admin)
    job = run(services.inspect_appliance(iso, by=admin))
    assert job.status == "succeeded", job.error
    found = job.result
    assert (found["name"], found["system"], found["firmware"]) == ("Shop server", "Debian 12", "uefi")
    assert (found["vcpus"], found["memory_mib"], found["nics"], found["suggested_bus"]) == (2, 2048, 1, "virtio")
    assert [(d["format"], d["bus"], d["capacity_bytes"]) for d in found["disks"]] == [("vmdk", "scsi", 24 * MIB)] * 2
    client.force_login(admin)
    assert "Shop server" in client.get(f"/isos/{iso.pk}/").content.decode()
    assert client.get(f"/isos/{iso.pk}/import/").status_code == 200
    iso.refresh_from_db()
    job = run(services.import_disks(iso, store, "shop", by=admin))
    assert job.status == "succeeded", job.error
    assert job.result["volumes"] == ["shop-disk1.qcow2", "shop-disk2.qcow2"]
    volumes = list(Volume.objects.filter(pk__in=job.result["volume_ids"]))
    assert all(same(volume, disk) for volume in volumes)
    assert all(volume.allocation_bytes < 12 * MIB for volume in volumes)  # nothing stays nothing
    wizard = client.get("/guests/new/").content.decode()
    assert all(volume.name in wizard for volume in volumes)
    assert f"/guests/new/?import={job.pk}" in client.get(f"/isos/{iso.pk}/").content.decode()
    form = client.get(f"/guests/new/?import={job.pk}").context["form"]
    filled = [form[name].value() for name in ("source", "volume", "name", "firmware", "vcpus", "memory")]
    assert filled == ["volume", str(volumes[0].pk), "Shop-server", "uefi", "2", "2 GiB"]
    for number in ("0", "x", str(job.pk - 1)):
        assert client.get(f"/guests/new/?import={number}").context["form"]["name"].value() != "Shop-server"


@pytest.mark.parametrize("kind", ["vpc", "vdi", "vmdk", "qcow2", "raw"])
def test_every_kind_of_disk_comes_out_as_it_went_in(library, pool, new_pool, admin, disk, kind):
    name = f"machine.{'vhd' if kind == 'vpc' else kind}"
    convert(disk, Path(pool.target_path, name), kind, *(["-o", "force_size=on"] if kind == "vpc" else []))
    iso = library(name)
    job = run(services.inspect_appliance(iso, by=admin))
    assert job.result["disks"][0]["capacity_bytes"] == 24 * MIB, job.error
    iso.refresh_from_db()
    store = new_pool()
    job = run(services.import_disks(iso, store, "machine", by=admin, image_format="raw"))
    assert job.status == "succeeded", job.error
    assert same(Volume.objects.get(pool=store, name="machine.raw"), disk)


def test_what_leads_to_other_files_or_is_no_machine_is_refused(library, pool, admin, disk, tmp_path, monkeypatch):
    evil = tmp_path / "evil.vmdk"
    text = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 100 FLAT "/etc/shadow" 0\n'
    evil.write_bytes(text.ljust(2048, b"\0"))
    good = convert(disk, tmp_path / "good.vmdk", "vmdk")
    top = Path(pool.target_path)
    ova(top / "evil.ova", [evil])
    ova(top / "outside.ova", [good], hrefs=["../../../../etc/shadow"])
    ova(top / "remote.ova", [good], hrefs=["http://169.254.169.254/good.vmdk"])
    (top / "cut.ova").write_bytes(ova(tmp_path / "whole.ova", [good]).read_bytes()[: 200 * 1024])
    (top / "bomb.ova").write_bytes(_many(3000))
    (top / "empty.ova").write_bytes(bytes(10240))
    (top / "alone.ovf").write_text(OVF)
    monkeypatch.setattr(appliance, "MAX_MEMBERS", 100)
    codes = {}
    for name in ("evil.ova", "outside.ova", "remote.ova", "cut.ova", "bomb.ova", "alone.ovf"):
        codes[name] = run(services.inspect_appliance(library(name), by=admin)).error_code
    assert codes.pop("evil.ova") == "reference_refused"
    assert set(codes.values()) == {"not_importable"}


@pytest.mark.parametrize(
    ("content", "old", "new"),
    [
        (b"", b"", b""),
        (b"x", b"", b""),
        (os.urandom(MIB + 1), b"", b""),  # QEMU opens no such part of a file
        (b"\0" * 64 + b"\x7f\x10\xda\xbe" + b"\1\0\0\0" * 3, b"", b""),
        (bytes(MIB), b"<Envelope", b"<<nvelope"),
    ],
    ids=["empty", "one byte", "odd", "cut off", "no XML"],
)
def test_a_damaged_description_or_disk_is_no_machine(tmp_path, content, old, new):
    disk = tmp_path / "disk.img"
    disk.write_bytes(content)
    archive = ova(tmp_path / "x.ova", [disk]).read_bytes().replace(old, new)
    with pytest.raises(NotImportable):
        appliance.inspect(lambda offset, length: archive[offset : offset + length], len(archive), "x.ova")


def test_a_capacity_that_is_no_number_is_not_known(tmp_path):
    disk = tmp_path / "disk.img"
    disk.write_bytes(bytes(MIB))
    archive = ova(tmp_path / "x.ova", [disk]).read_bytes().replace(b'capacity="8"', b'capacity="x"')
    found = appliance.inspect(lambda offset, length: archive[offset : offset + length], len(archive), "x.ova")
    assert found.disks[0].capacity_bytes == MIB


def test_a_disk_that_qemu_does_not_open_is_told_as_damaged(library, pool, new_pool, admin):
    header = struct.pack("<3IB", 0xBEDA107F, 0x10001, 400, 1)
    Path(pool.target_path, "broken.vdi").write_bytes((bytes(64) + header).ljust(MIB, b"\0"))
    iso = library("broken.vdi")
    assert run(services.inspect_appliance(iso, by=admin)).status == "succeeded"
    iso.refresh_from_db()
    job = run(services.import_disks(iso, new_pool(), "broken", by=admin))
    assert (job.status, job.error_code) == ("failed", "not_importable"), job.error


def _many(number: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for n in range(number):
            archive.addfile(tarfile.TarInfo(f"{n}"))
    return target.getvalue()


def test_windows_gets_its_warning_and_xml_reads_no_files(tmp_path, disk):
    path = ova(tmp_path / "win.ova", [disk], system="Microsoft Windows Server 2019 (64-bit)")
    content = path.read_bytes()
    found = appliance.inspect(lambda offset, length: content[offset : offset + length], len(content), "win.ova")
    assert found.suggested_bus == "sata"
    assert "virtio-win" in found.warnings[0]
    entity = OVF.replace("<Envelope", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><Envelope', 1)
    entity = entity.replace("Shop server", "&e;").format(files="", disks="", items="", system="")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        info = tarfile.TarInfo("x.ovf")
        info.size = len(entity)
        archive.addfile(info, io.BytesIO(entity.encode()))
    raw = target.getvalue()
    with pytest.raises(Invalid):
        appliance.inspect(lambda offset, length: raw[offset : offset + length], len(raw), "x.ova")
    head = b"KDMV".ljust(600, b"\0")
    with pytest.raises(ReferenceRefused):
        appliance.inspect(lambda offset, length: head[offset : offset + length], len(head), "x.vmdk")


@pytest.mark.parametrize(
    ("said", "start", "firmware"),
    [
        ('<vmw:Config vmw:key="firmware" vmw:value="efi"/>', mbr(0x83), "uefi"),
        ('<vmw:Config vmw:key="firmware" vmw:value="bios"/>', gpt(EFI), "bios"),
        ('<Machine><Hardware><Firmware type="EFI"/></Hardware></Machine>', mbr(0x83), "uefi"),  # VirtualBox
        ("", gpt(EFI), "uefi"),
        ("", mbr(0x83), "bios"),
        ("", b"", "bios"),
    ],
)
def test_the_firmware_is_that_of_the_description_or_of_the_first_disk(tmp_path, monkeypatch, said, start, firmware):
    raw = tmp_path / "disk.raw"
    raw.write_bytes(start.ljust(MIB, b"\0"))
    monkeypatch.setitem(globals(), "OVF", OVF.replace('<vmw:Config vmw:key="firmware" vmw:value="efi"/>', said))
    disk = convert(raw, tmp_path / "disk.vmdk", "vmdk", "-o", "subformat=streamOptimized")
    content = ova(tmp_path / "x.ova", [disk]).read_bytes()
    found = appliance.inspect(lambda offset, length: content[offset : offset + length], len(content), "x.ova")
    assert (found.firmware, found.suggested_bus) == (firmware, "virtio")


def test_a_cancelled_or_failed_import_leaves_nothing(
    library, pool, new_pool, admin, disk, tmp_path, monkeypatch, virsh
):
    convert(disk, Path(pool.target_path, "machine.vdi"), "vdi")
    iso, store = library("machine.vdi"), new_pool()
    run(services.inspect_appliance(iso, by=admin))
    iso.refresh_from_db()
    with pytest.raises(Invalid):
        services.import_disks(iso, store, "../x", by=admin)
    job = services.import_disks(iso, store, "machine", by=admin)
    copy = disk_copy.copy_open_disk

    def cancel(*arguments, **options):
        Job.objects.get(pk=job.pk).request_cancel(admin)
        return copy(*arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(disk_copy, "copy_open_disk", cancel)
        assert run(job).status == "cancelled"
    broken = Path(pool.target_path, "machine.vdi").read_bytes()
    Path(pool.target_path, "machine.vdi").write_bytes(broken[: MIB // 4])
    job = run(services.import_disks(iso, store, "machine", by=admin))
    assert (job.status, job.error_code) == ("failed", "not_importable")
    assert not list(Path(store.target_path).iterdir())
    assert not JobUndo.objects.exists()
    assert "kvmweb-copy" not in virsh("list", "--name")


def test_a_packed_disk_is_unpacked_beside_it_and_a_bad_one_leaves_nothing(library, pool, admin, disk, settings):
    top = Path(pool.target_path)
    (top / "machine.raw.gz").write_bytes(gzip.compress(disk.read_bytes(), 1))
    iso = uploaded(pool, "machine.raw.gz")
    job = run(services.unpack_image(iso, by=admin))
    assert job.status == "succeeded", job.error
    assert (top / "machine.raw").read_bytes() == disk.read_bytes()
    assert Iso.objects.get(pk=job.result["iso_id"]).name == "machine.raw"
    (top / "cut.raw.gz").write_bytes((top / "machine.raw.gz").read_bytes()[:100_000])
    job = run(services.unpack_image(uploaded(pool, "cut.raw.gz"), by=admin))
    assert (job.status, job.error_code) == ("failed", "not_unpacked")
    assert not (top / "cut.raw").exists()
    with pytest.raises(Invalid):
        services.unpack_image(Iso.objects.get(volume__name="machine.raw"), by=admin)


def uploaded(pool, name: str) -> Iso:
    """Any file gets its row when it is uploaded."""
    with pool.host.connect() as conn:
        refresh_pool(pool.host, conn, pool.name, rescan=True)
    Job.objects.active().delete()
    volume = Volume.objects.select_related("pool__host").get(pool=pool, name=name)
    return Iso.objects.get_or_create(volume=volume, defaults={"is_iso9660": False, "kind": "other"})[0]
