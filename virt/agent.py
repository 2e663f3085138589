"""Asking the agent inside a guest. It may be absent, hang, or lie; nothing here waits long for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import libvirt

from virt.connection import Connection
from virt.domains import on_guest
from virt.types import AgentReport, GuestAddress, GuestFilesystem, GuestUser, Uuid

ANSWER_S = 5  # for each of the handful of questions
REPORT_S = 30.0  # for all of them
MOST_TEXT, MOST_ENTRIES = 255, 64  # of what a guest may say


def agent_report(conn: Connection, uuid: Uuid) -> AgentReport:
    """What the agent of a running guest tells of it.

    Raises AgentMissing when there is none, it does not run or does not answer, WrongState when the guest is off,
    GuestNotFound, or HostTimeout.
    https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainGetGuestInfo
    """

    def action(domain: libvirt.virDomain) -> dict[str, Any]:
        with _short_patience(domain):
            return dict(domain.guestInfo(0, 0))  # 0: all that this agent knows

    return read_report(on_guest(conn, uuid, "ask the agent of guest {}", action, timeout_s=REPORT_S))


def read_report(said: Mapping[str, Any]) -> AgentReport:
    """The report that libvirt's list of typed parameters describes."""

    def text(key: str) -> str:
        return str(said.get(key) or "").replace("\0", "")[:MOST_TEXT]

    def whole(key: str) -> int | None:
        value = said.get(key)
        return int(value) if isinstance(value, int) else None

    def each(kind: str) -> Iterator[str]:
        count = min(MOST_ENTRIES, whole(f"{kind}.count") or 0)
        return (f"{kind}.{number}." for number in range(count))

    return AgentReport(
        hostname=text("hostname"),
        os_id=text("os.id"),
        os_name=text("os.pretty-name") or text("os.name"),
        os_version=text("os.version-id") or text("os.version"),
        kernel=text("os.kernel-release"),
        timezone=text("timezone.name"),
        utc_offset_s=whole("timezone.offset"),
        users=tuple(
            GuestUser(name=text(at + "name"), domain=text(at + "domain"), since=_milliseconds(whole(at + "login-time")))
            for at in each("user")
        ),
        filesystems=tuple(
            GuestFilesystem(
                mountpoint=text(at + "mountpoint"),
                type=text(at + "fstype"),
                name=text(at + "name"),
                total_bytes=whole(at + "total-bytes"),
                used_bytes=whole(at + "used-bytes"),
            )
            for at in each("fs")
        ),
        addresses=tuple(_addresses(each, text, whole)),
    )


def _addresses(
    each: Callable[[str], Iterator[str]], text: Callable[[str], str], whole: Callable[[str], int | None]
) -> Iterator[GuestAddress]:
    for card in each("if"):
        for at in each(f"{card}addr"):
            yield GuestAddress(
                interface=text(card + "name"),
                mac=text(card + "hwaddr"),
                address=text(at + "addr"),
                prefix=whole(at + "prefix") or 0,
                family=text(at + "type"),
                source="agent",
            )


def _milliseconds(value: int | None) -> float | None:
    return None if value is None else value / 1000


@contextmanager
def _short_patience(domain: libvirt.virDomain) -> Iterator[None]:
    """libvirt waits for ever for an agent that took a question and does not answer, and holds a thread on the host.

    It keeps this setting with the guest, for all its clients: so it is given back at once, as it is unless somebody
    set it otherwise. https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainAgentSetResponseTimeout
    """
    domain.agentSetResponseTimeout(ANSWER_S, 0)
    try:
        yield
    finally:
        with suppress(libvirt.libvirtError):
            domain.agentSetResponseTimeout(libvirt.VIR_DOMAIN_AGENT_RESPONSE_TIMEOUT_BLOCK, 0)
