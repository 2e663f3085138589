"""Does a guest really boot with KVM on this host?

/dev/kvm can exist, open and be offered by QEMU while no stock guest boots on it, or boots slower than emulated: in
nested machines whose hypervisor passes no vmx or svm through. So we boot something: the firmware alone, without disk or
network. BIOS first, which any KVM can do but only a real one quickly; then UEFI, which runs the 64-bit and
floating-point code that such machines choke on.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from uuid import uuid4

import libvirt

from virt.connection import Connection
from virt.domains import PROBE_PREFIX, domain_state_of
from virt.errors import NotSupported, VirtError
from virt.host import compat_sheet
from virt.types import CompatSheet, DomainState, KvmProbe
from virt.xmltree import E, Element, dump

DEADLINE_S = 6.0
STALE_S = 60.0
START_TIMEOUT_S = 20.0  # until QEMU stands, paused; not counted as the guest's time
CLEANUP_TIMEOUT_S = 30.0
POLL_S = 0.03
STATELESS_LOADER_SINCE = 8_006_000  # libvirt that runs UEFI without leaving a file of variables behind


@dataclass(frozen=True, kw_only=True)
class _Firmware:
    """One thing to boot. With real KVM it takes a tenth of `cpu_budget_s`; the budget is in the guest's processor time,
    so that a busy host is not taken for one without KVM.
    """

    name: str
    loader: str | None
    memory_mib: int
    speaks: bytes  # what it writes on the serial port when it has come far enough
    cpu_budget_s: float


BIOS = _Firmware(name="BIOS", loader=None, memory_mib=32, speaks=b"No bootable device", cpu_budget_s=2.0)


def probe_kvm(conn: Connection, *, domain_type: str = "kvm", deadline_s: float = DEADLINE_S) -> KvmProbe:
    """Boot firmware in tiny transient guests and say whether this host accelerates guests; nothing of it is left
    behind.

    `deadline_s` bounds each of the at most two boots, which take well under a second each with real KVM. `domain_type`
    "qemu" tries the method itself. Works on a connection of its own, so that a QEMU that hangs does not take `conn`
    with it. Raises HostUnreachable, HostTimeout or PermissionRefused of that connection only.
    """
    begun = time.monotonic()

    def answer(accelerated: bool, reason: str) -> KvmProbe:
        return KvmProbe(accelerated=accelerated, reason=reason, seconds=round(time.monotonic() - begun, 2))

    with conn.reopen() as own:
        _remove_stale(own)
        try:
            sheet = compat_sheet(own, domain_type=domain_type, machine=None)
        except NotSupported:
            return answer(False, "QEMU offers no KVM on this host: /dev/kvm is missing, or QEMU may not open it.")
        if sheet.arch not in ("x86_64", "i686"):
            return answer(True, f"QEMU offers KVM; how to try it on {sheet.arch} is not known here.")
        for firmware in [BIOS, *_uefi(own, sheet)]:
            if failure := _boot(own, sheet, firmware, deadline_s):
                return answer(False, failure)
    return answer(True, "A guest boots with KVM.")


def _uefi(own: Connection, sheet: CompatSheet) -> list[_Firmware]:
    """The host's plain UEFI build, if it has one and its libvirt can run it without leaving a file behind."""
    version = own.call(lambda handle: int(handle.getLibVersion()), "read the version of libvirt")
    plain = [path for path in sheet.efi_loaders if not any(word in path for word in ("secboot", ".ms.", "snakeoil"))]
    if sheet.domain_type != "kvm" or version < STATELESS_LOADER_SINCE or not plain:
        return []
    return [_Firmware(name="UEFI", loader=plain[0], memory_mib=128, speaks=b"BdsDxe", cpu_budget_s=5.0)]


def _boot(own: Connection, sheet: CompatSheet, firmware: _Firmware, deadline_s: float) -> str:
    """Boot it; the reason why KVM is no use here, or an empty string."""
    name = f"{PROBE_PREFIX}{int(time.time())}-{uuid4().hex[:8]}"
    xml = _guest_xml(name, sheet, firmware)
    # Destroyed by libvirt itself when our connection goes, however it goes.
    flags = libvirt.VIR_DOMAIN_START_PAUSED | libvirt.VIR_DOMAIN_START_AUTODESTROY
    try:
        domain = own.call(
            lambda handle: handle.createXML(xml, flags), "start a guest with KVM", timeout_s=START_TIMEOUT_S
        )
    except VirtError as exc:
        return f"QEMU does not start with KVM on this host. {_last_line(exc.details)}".strip()
    try:
        return _watch(own, domain, firmware, deadline_s)
    except VirtError as exc:
        return f"The guest that was to try KVM broke. {_last_line(exc.details or str(exc))}"
    finally:
        with suppress(VirtError):
            own.call(lambda _handle: domain.destroy(), "remove the guest that tried KVM", timeout_s=CLEANUP_TIMEOUT_S)


def _watch(own: Connection, domain: libvirt.virDomain, firmware: _Firmware, deadline_s: float) -> str:
    said = bytearray()

    def begin(handle: libvirt.virConnect) -> tuple[libvirt.virStream, int]:
        stream = handle.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        used = int(domain.info()[4])
        domain.resume()
        return stream, used

    def look(_handle: libvirt.virConnect) -> tuple[DomainState, float]:
        while isinstance(piece := stream.recv(4096), bytes) and piece:
            said.extend(piece)
        return domain_state_of(*domain.state())[0], (int(domain.info()[4]) - used_before) / 1e9

    stream, used_before = own.call(begin, "boot a guest with KVM")
    until = time.monotonic() + deadline_s
    while time.monotonic() < until:
        state, used_s = own.call(look, "watch a guest with KVM")
        if firmware.speaks in said:
            return ""
        if state is not DomainState.RUNNING:
            return f"KVM gave up while a guest ran its {firmware.name}: this machine's processor support is incomplete."
        if used_s > firmware.cpu_budget_s:
            return (
                f"KVM is too slow to be real: the {firmware.name} of an empty guest took more than "
                f"{firmware.cpu_budget_s:g} s of processor time. This machine is probably a guest itself, "
                "without nested virtualisation."
            )
        time.sleep(POLL_S)
    if firmware is not BIOS:
        return ""  # it ran and neither failed nor burnt its budget: a busy host
    return f"A guest with KVM did not get through its {firmware.name} in {deadline_s:g} s."


def _guest_xml(name: str, sheet: CompatSheet, firmware: _Firmware) -> str:
    system: Element = E.os(E.type("hvm", arch=sheet.arch, machine=sheet.machine))
    if firmware.loader:
        system.append(E.loader(firmware.loader, readonly="yes", type="pflash", stateless="yes"))
    else:
        system.append(E.bios(useserial="yes"))
    domain = E.domain(
        E.name(name),
        E.memory(str(firmware.memory_mib), unit="MiB"),
        E.vcpu("1"),
        system,
        E.features(E.acpi()),
        E.devices(
            E.serial(type="pty"),
            E.memballoon(model="none"),
            E.controller(type="usb", model="none"),
            E.video(E.model(type="none")),
        ),
        type=sheet.domain_type,
    )
    if "host-passthrough" in sheet.cpu_modes:
        domain.append(E.cpu(mode="host-passthrough"))
    return dump(domain)


def _remove_stale(own: Connection) -> None:
    """Guests of probes whose libvirtd was killed before it could clean up."""

    def work(handle: libvirt.virConnect) -> None:
        for domain in handle.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_TRANSIENT):
            begun = domain.name().removeprefix(PROBE_PREFIX).partition("-")[0]
            if domain.name().startswith(PROBE_PREFIX) and (not begun.isdigit() or time.time() - int(begun) > STALE_S):
                with suppress(libvirt.libvirtError):
                    domain.destroy()

    own.call(work, "remove what earlier KVM probes left", timeout_s=CLEANUP_TIMEOUT_S)


def _last_line(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1] if lines else ""
