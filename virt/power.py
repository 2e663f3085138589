"""Start guests and stop them. What is in the wanted state already is reported as False, not as an error."""

from __future__ import annotations

from typing import Literal

import libvirt

from virt.connection import Connection
from virt.domain_guard import check_domain
from virt.domains import domain_state_of, on_guest
from virt.errors import WrongState
from virt.types import DomainState, Uuid

By = Literal["auto", "acpi", "agent"]
"""Who brings the guest down: its ACPI button, its guest agent, or whichever libvirt finds."""

START_TIMEOUT_S = 120.0  # large guests take their memory, and firmware and TPM state are made, before it returns
STOP_TIMEOUT_S = 60.0  # libvirt waits for QEMU to write its caches before it kills it
AGENT_TIMEOUT_S = 75.0  # libvirt itself waits 60 s for the agent to take the shutdown
SAVE_TIMEOUT_S = 3600.0


def start(conn: Connection, uuid: Uuid, *, paused: bool = False) -> bool:
    """Start a guest, from its managed save image where it has one. False: it is active already.

    Raises PoolFull, NotEnoughMemory, VolumeInUse, or VirtError with QEMU's words in the details.
    """
    flags = libvirt.VIR_DOMAIN_START_PAUSED if paused else 0

    def action(domain: libvirt.virDomain) -> bool:
        if domain.isActive():
            return False
        try:
            domain.createWithFlags(flags)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() == libvirt.VIR_ERR_OPERATION_INVALID and domain.isActive():
                return False  # somebody was faster
            raise
        return True

    return on_guest(conn, uuid, "start guest {}", action, timeout_s=START_TIMEOUT_S)


def start_once(conn: Connection, xml: str) -> None:
    """Start a guest that is off with this definition; the one that it has stays, and holds from its next start on.

    Raises what `start` raises, WrongState when it runs, Invalid or DefinitionRefused.
    https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainCreateXML
    """
    name = check_domain(xml)
    conn.call(
        lambda handle: handle.createXML(xml, libvirt.VIR_DOMAIN_START_VALIDATE),
        f"start guest {name}",
        timeout_s=START_TIMEOUT_S,
    )


def shutdown(conn: Connection, uuid: Uuid, *, by: By = "auto") -> bool:
    """Ask the guest to power off and return at once: it may take its time, or ignore it. False: it is off.

    Raises WrongState (it is paused and cannot hear) or AgentMissing.
    """
    flags = {
        "auto": 0,
        "acpi": libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN,
        "agent": libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT,
    }

    def action(domain: libvirt.virDomain) -> bool:
        state = _state(domain)
        if not state.is_active or state is DomainState.SHUTTING_DOWN:
            return False
        _must_run(domain, state)
        domain.shutdownFlags(flags[by])
        return True

    return on_guest(conn, uuid, "shut down guest {}", action, timeout_s=AGENT_TIMEOUT_S)


def reboot(conn: Connection, uuid: Uuid, *, by: By = "auto") -> None:
    """Ask the guest to reboot and return at once. Raises WrongState (off or paused) or AgentMissing."""
    flags = {
        "auto": 0,
        "acpi": libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN,
        "agent": libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT,
    }

    def action(domain: libvirt.virDomain) -> None:
        _must_run(domain, _state(domain))
        domain.reboot(flags[by])

    on_guest(conn, uuid, "reboot guest {}", action, timeout_s=AGENT_TIMEOUT_S)


def reset(conn: Connection, uuid: Uuid) -> None:
    """Press the reset button: no warning to the guest. Raises WrongState when it is off."""

    def action(domain: libvirt.virDomain) -> None:
        if not domain.isActive():
            raise WrongState(f"Guest {domain.name()} is off. Start it instead.")
        domain.reset(0)

    on_guest(conn, uuid, "reset guest {}", action)


def destroy(conn: Connection, uuid: Uuid) -> bool:
    """Pull the plug. False: it is off. The definition stays; a transient guest is gone."""

    def action(domain: libvirt.virDomain) -> bool:
        if not domain.isActive():
            return False
        try:
            domain.destroyFlags(0)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() in (libvirt.VIR_ERR_OPERATION_INVALID, libvirt.VIR_ERR_NO_DOMAIN):
                return False  # it went off by itself in this instant
            raise
        return True

    return on_guest(conn, uuid, "force off guest {}", action, timeout_s=STOP_TIMEOUT_S)


def suspend(conn: Connection, uuid: Uuid) -> bool:
    """Stop the guest's processors, keeping its memory. False: they stand still. Raises WrongState when it is off."""

    def action(domain: libvirt.virDomain) -> bool:
        if _state(domain) is DomainState.PAUSED:
            return False
        domain.suspend()
        return True

    return on_guest(conn, uuid, "pause guest {}", action)


def resume(conn: Connection, uuid: Uuid) -> bool:
    """Let a paused guest go on, or wake one that sleeps. False: it runs. Raises WrongState when it is off."""

    def action(domain: libvirt.virDomain) -> bool:
        state = _state(domain)
        if state is DomainState.RUNNING:
            return False
        if state is DomainState.SUSPENDED:
            domain.pMWakeup(0)
        else:
            domain.resume()
        return True

    return on_guest(conn, uuid, "resume guest {}", action)


def managed_save(conn: Connection, uuid: Uuid) -> bool:
    """Write the guest's memory to the host's disk and stop it; the next start goes on from there. False: it is off.

    Takes as long as writing its memory does; read the progress (and abort it) on a second connection.
    """

    def action(domain: libvirt.virDomain) -> bool:
        if not domain.isActive():
            return False
        domain.managedSave(0)
        return True

    return on_guest(conn, uuid, "save guest {}", action, timeout_s=SAVE_TIMEOUT_S)


def remove_managed_save(conn: Connection, uuid: Uuid) -> bool:
    """Throw the saved memory away, so that the next start boots afresh. False: there is none."""

    def action(domain: libvirt.virDomain) -> bool:
        if not domain.hasManagedSaveImage(0):
            return False
        domain.managedSaveRemove(0)
        return True

    return on_guest(conn, uuid, "discard the saved state of guest {}", action)


def _state(domain: libvirt.virDomain) -> DomainState:
    return domain_state_of(*domain.state())[0]


def _must_run(domain: libvirt.virDomain, state: DomainState) -> None:
    if state is DomainState.PAUSED:
        raise WrongState(f"Guest {domain.name()} is paused and cannot react. Resume it first.")
    if state is DomainState.SUSPENDED:
        raise WrongState(f"Guest {domain.name()} is asleep and cannot react. Wake it first.")
    if not state.is_active:
        raise WrongState(f"Guest {domain.name()} is off. Start it instead.")
