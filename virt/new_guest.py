"""The definition of a new guest, as a modern virt-install would make it for that system on that host.

https://libvirt.org/formatdomain.html
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from virt import validate
from virt.device_xml import DiskSpec, NicSpec, disk_element, free_target, mac_address, nic_element
from virt.domain_summary import AGENT_CHANNEL, OSINFO_NAMESPACE
from virt.errors import Invalid, NotSupported
from virt.types import CompatSheet, OsTraits
from virt.xmltree import E, Element, dump, indent

__all__ = ["DirectKernel", "DiskSpec", "GuestSpec", "NicSpec", "default_firmware", "guest_xml", "mac_address"]

SPARE_PORTS = 14  # for devices plugged in while the guest runs; virt-install leaves as many


@dataclass(frozen=True, kw_only=True)
class DirectKernel:
    """Boot this kernel instead of a disk; the files are on the host."""

    kernel: str
    initrd: str | None = None
    cmdline: str = ""


@dataclass(frozen=True, kw_only=True)
class GuestSpec:
    """What a guest is to be. `os` comes from `virt.osinfo.traits`; what is None is chosen for that system."""

    name: str
    os: OsTraits
    vcpus: int
    memory_mib: int
    disks: tuple[DiskSpec, ...] = ()
    cdrom: str | None = None  # path of an ISO
    nics: tuple[NicSpec, ...] = ()
    uuid: str | None = None
    title: str = ""
    description: str = ""
    domain_type: str = "kvm"  # or qemu, where KVM does not boot
    firmware: str = "bios"  # uefi, uefi-secure
    graphics: str = "vnc"  # or none
    vnc_listen: str = "none"  # reached through libvirt, without a port; "socket" or "loopback" for hosts over SSH
    tpm: bool | None = None  # None: where the system needs one and the host can give it
    kernel: DirectKernel | None = None


def default_firmware(os: OsTraits, sheet: CompatSheet) -> str:
    """The firmware to offer first for a system on a host: what it needs, else BIOS where there is one."""
    for wanted, needed in (
        ("uefi-secure", os.needs_secure_boot),
        ("uefi", os.needs_uefi),
        ("bios", True),
        ("uefi", True),
    ):
        if needed and wanted in sheet.firmwares:
            return wanted
    return "bios"


def guest_xml(spec: GuestSpec, sheet: CompatSheet) -> str:
    """The domain XML. `sheet` is the host's for the same domain type; it also decides architecture and machine.

    Raises Invalid for what no guest can have, NotSupported for what this host cannot give.
    """
    _check(spec, sheet)
    domain: Element = E.domain(
        E.name(validate.guest_name(spec.name)),
        E.uuid(validate.uuid(spec.uuid) if spec.uuid else str(uuid4())),
        type=spec.domain_type,
    )
    if spec.title:
        domain.append(E.title(validate.xml_text(spec.title, field="title").replace("\n", " ")))
    if spec.description:
        domain.append(E.description(validate.xml_text(spec.description, field="description")))
    domain.append(_metadata(spec.os))
    domain.append(E.memory(str(spec.memory_mib), unit="MiB"))
    domain.append(E.currentMemory(str(spec.memory_mib), unit="MiB"))
    domain.append(E.vcpu(str(spec.vcpus)))
    domain.extend([_system(spec, sheet), _features(spec, sheet)])
    cpu = _cpu(spec, sheet)
    if cpu is not None:
        domain.append(cpu)
    domain.append(_clock(spec, sheet))
    domain.extend([E.on_poweroff("destroy"), E.on_reboot("restart"), E.on_crash("destroy")])
    if _is_x86(sheet):
        domain.append(E.pm(E("suspend-to-mem", enabled="no"), E("suspend-to-disk", enabled="no")))
    domain.append(_devices(spec, sheet))
    return dump(indent(domain))


def _check(spec: GuestSpec, sheet: CompatSheet) -> None:
    validate.vcpus(spec.vcpus, host_max=sheet.max_vcpus)
    validate.memory_mib(spec.memory_mib)
    if spec.domain_type != sheet.domain_type:
        raise ValueError(f"the sheet is for {sheet.domain_type} guests, not {spec.domain_type}")
    if spec.firmware not in ("bios", "uefi", "uefi-secure"):
        raise Invalid(f"The firmware can be bios, uefi or uefi-secure, not {spec.firmware}.", field="firmware")
    if spec.graphics not in ("vnc", "none"):
        raise Invalid(f"The display can be vnc or none, not {spec.graphics}.", field="graphics")
    if spec.vnc_listen not in ("none", "socket", "loopback"):
        raise Invalid(f"The display can listen on none, socket or loopback, not {spec.vnc_listen}.", field="vnc_listen")
    if spec.firmware not in sheet.firmwares:
        offered = " or ".join(sheet.firmwares) or "no firmware"
        raise NotSupported(
            f"This host has no {spec.firmware} firmware for {sheet.machine} guests, only {offered}. "
            "The packages ovmf (Debian) or edk2-ovmf (RHEL) bring UEFI.",
            field="firmware",
        )
    if spec.tpm and not sheet.has_tpm:
        raise NotSupported("This host cannot emulate a TPM. Install the package swtpm on it.", field="tpm")


def _metadata(os: OsTraits) -> Element:
    namespace = {"libosinfo": OSINFO_NAMESPACE}
    root = E.metadata()
    info = root.makeelement(f"{{{OSINFO_NAMESPACE}}}libosinfo", nsmap=namespace)
    info.append(root.makeelement(f"{{{OSINFO_NAMESPACE}}}os", id=os.id))
    root.append(info)
    return root


def _system(spec: GuestSpec, sheet: CompatSheet) -> Element:
    """The <os>. Where UEFI is not told about Secure Boot, libvirt takes the build that enforces it."""
    system: Element = E.os(E.type("hvm", arch=sheet.arch, machine=sheet.machine))
    if spec.firmware != "bios":
        system.set("firmware", "efi")
        state = "yes" if spec.firmware == "uefi-secure" else "no"
        features = [E.feature(enabled=state, name="secure-boot"), E.feature(enabled=state, name="enrolled-keys")]
        if _is_x86(sheet):
            system.append(E.firmware(*features))
    if spec.kernel:
        system.append(E.kernel(validate.absolute_path(spec.kernel.kernel, field="kernel")))
        if spec.kernel.initrd:
            system.append(E.initrd(validate.absolute_path(spec.kernel.initrd, field="initrd")))
        if spec.kernel.cmdline:
            system.append(E.cmdline(validate.xml_text(spec.kernel.cmdline, field="cmdline")))
    return system


def _features(spec: GuestSpec, sheet: CompatSheet) -> Element:
    features: Element = E.features(E.acpi())
    if _is_x86(sheet):
        features.append(E.apic())
        if spec.os.family == "windows" and spec.domain_type == "kvm":
            features.append(_hyperv(sheet))
        if spec.firmware == "uefi-secure":
            features.append(E.smm(state="on"))
    return features


def _hyperv(sheet: CompatSheet) -> Element:
    """What Windows does faster when it knows that it is a guest; limited to what the host lists, where it lists any."""
    wanted = {"relaxed": {"state": "on"}, "vapic": {"state": "on"}, "spinlocks": {"state": "on", "retries": "8191"}}
    known = sheet.hyperv_features
    return E.hyperv(*(E(name, **values) for name, values in wanted.items() if not known or name in known))


def _cpu(spec: GuestSpec, sheet: CompatSheet) -> Element | None:
    """With KVM the host's own processor; emulated the richest that QEMU has, since newer systems refuse its default
    one.
    """
    modes = ("host-passthrough", "host-model") if spec.domain_type == "kvm" else ("maximum",)
    mode = next((mode for mode in modes if mode in sheet.cpu_modes), None)
    if mode is None:
        return None
    cpu: Element = E.cpu(mode=mode)
    if spec.domain_type == "kvm":
        cpu.set("check", "none")
        if mode == "host-passthrough":
            cpu.set("migratable", "on")
    if spec.os.family == "windows" and spec.vcpus > 1:  # its desktop editions use two sockets at most
        cpu.append(E.topology(sockets="1", dies="1", cores=str(spec.vcpus), threads="1"))
    if spec.domain_type != "kvm" and _is_x86(sheet):
        cpu.append(E.feature(policy="disable", name="la57"))  # five-level paging costs time and trips older loaders
    return cpu


def _clock(spec: GuestSpec, sheet: CompatSheet) -> Element:
    clock: Element = E.clock(offset="localtime" if spec.os.family == "windows" else "utc")
    if _is_x86(sheet):
        clock.append(E.timer(name="rtc", tickpolicy="catchup"))
        clock.append(E.timer(name="pit", tickpolicy="delay"))
        clock.append(E.timer(name="hpet", present="no"))
        if spec.os.family == "windows" and spec.domain_type == "kvm":
            clock.append(E.timer(name="hypervclock", present="yes"))
    return clock


def _devices(spec: GuestSpec, sheet: CompatSheet) -> Element:
    devices: Element = E.devices(E.emulator(sheet.emulator))
    devices.extend(_drives(spec, sheet))
    if _has_pcie(sheet):
        devices.append(E.controller(type="pci", index="0", model="pcie-root"))
        devices.extend(E.controller(type="pci", model="pcie-root-port") for _ in range(SPARE_PORTS))
    if _is_x86(sheet) or sheet.arch == "aarch64":
        devices.append(E.controller(type="usb", model="qemu-xhci", ports="15"))
    for nic in spec.nics:
        devices.append(nic_element(nic, model=nic.model or _nic_model(spec.os, sheet)))
    devices.append(E.console(E.target(type="serial"), type="pty"))
    devices.append(E.channel(E.source(mode="bind"), E.target(type="virtio", name=AGENT_CHANNEL), type="unix"))
    if spec.os.usb_tablet and spec.graphics != "none":
        devices.append(E.input(type="tablet", bus="usb"))
        if sheet.arch == "aarch64":
            devices.append(E.input(type="keyboard", bus="usb"))
    if spec.graphics == "vnc":
        devices.append(_vnc(spec.vnc_listen))
        devices.append(E.video(E.model(type=_video(spec.os, sheet))))
    else:
        devices.append(E.video(E.model(type="none")))
    if spec.tpm or (spec.tpm is None and spec.os.needs_tpm and sheet.has_tpm):
        devices.append(_tpm(spec, sheet))
    has_balloon = (
        spec.os.virtio_balloon or spec.os.family == "windows"
    )  # Windows gets its driver after the installation
    devices.append(E.memballoon(E.stats(period="10"), model="virtio") if has_balloon else E.memballoon(model="none"))
    if spec.os.virtio_rng and "virtio" in sheet.rng_models:
        devices.append(E.rng(E.backend("/dev/urandom", model="random"), model="virtio"))
    return devices


def _drives(spec: GuestSpec, sheet: CompatSheet) -> list[Element]:
    """Disks first, then the medium, also in boot order: a blank disk does not boot, so the installer comes up once."""
    drives = list(spec.disks)
    if spec.cdrom is not None:
        drives.append(DiskSpec(path=spec.cdrom, format="raw", device="cdrom"))
    found: list[Element] = []
    taken: list[str] = []
    has_own_order = any(drive.boot_order for drive in drives) or any(nic.boot_order for nic in spec.nics)
    for place, drive in enumerate(drives, start=1):
        bus = drive.bus or (_disk_bus(spec.os, sheet) if drive.device == "disk" else _cdrom_bus(sheet))
        taken.append(free_target(bus, taken))
        element = disk_element(drive, bus=bus, target=taken[-1])
        if not has_own_order and not spec.kernel:
            element.append(E.boot(order=str(place)))
        found.append(element)
    return found


def _disk_bus(os: OsTraits, sheet: CompatSheet) -> str:
    return "virtio" if os.virtio_disk and "virtio" in sheet.disk_buses else _cdrom_bus(sheet)


def _cdrom_bus(sheet: CompatSheet) -> str:
    """The controller that firmware and installers find without help: AHCI on q35, IDE on pc, SCSI elsewhere."""
    if not _is_x86(sheet):
        return "scsi"
    return "sata" if _has_pcie(sheet) else "ide"


def _nic_model(os: OsTraits, sheet: CompatSheet) -> str:
    if os.virtio_net:
        return "virtio"
    return "e1000e" if _has_pcie(sheet) else "e1000"


def _video(os: OsTraits, sheet: CompatSheet) -> str:
    is_modern_linux = os.family == "linux" and os.virtio_rng
    wanted = ("virtio", "vga") if is_modern_linux or not _is_x86(sheet) else ("vga", "virtio")
    return next((model for model in wanted if model in sheet.videos), "vga")


def _vnc(listen: str) -> Element:
    """https://libvirt.org/formatdomain.html#graphical-framebuffers"""
    if listen == "loopback":
        return E.graphics(E.listen(type="address", address="127.0.0.1"), type="vnc", port="-1", autoport="yes")
    return E.graphics(E.listen(type=listen), type="vnc")


def _tpm(spec: GuestSpec, sheet: CompatSheet) -> Element:
    model = "tpm-crb" if spec.firmware != "bios" and "tpm-crb" in sheet.tpm_models else sheet.tpm_models[0]
    return E.tpm(E.backend(type="emulator", version="2.0"), model=model)


def _is_x86(sheet: CompatSheet) -> bool:
    return sheet.arch in ("x86_64", "i686")


def _has_pcie(sheet: CompatSheet) -> bool:
    return "q35" in sheet.machine or sheet.machine.startswith("virt")
