"""Rows from what agents said. The watcher calls this."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from guests.models import Guest
from guests.samples import apply_addresses
from hosts.models import Host
from jobs.live import publish
from virt import types

from .models import AgentReport

_FACTS = ("hostname", "os_id", "os_name", "os_version", "kernel", "timezone", "utc_offset_s")
_SHOWN = (*_FACTS, "users", "filesystems", "interfaces")


def to_ask(host: Host) -> dict[UUID, int]:
    """The running guests of a host that have a channel for an agent, with their row ids."""
    guests = Guest.objects.filter(host=host, state=Guest.State.RUNNING, has_agent_channel=True, missing_since=None)
    return dict(guests.order_by().values_list("uuid", "pk"))


def record_answer(host: Host, uuid: UUID, pk: int, said: types.AgentReport) -> None:
    """Keep what the agent of a guest said, and its addresses. Pages hear of it when something that they show moved."""
    now = timezone.now()
    fields: dict[str, Any] = {name: getattr(said, name) for name in _FACTS}
    fields["users"] = [asdict(user) for user in said.users]
    fields["filesystems"] = [asdict(each) for each in said.filesystems]
    fields["interfaces"] = _interfaces(said)
    fields["state"] = AgentReport.State.ANSWERS
    before = AgentReport.objects.filter(guest=pk).first()
    if before is None or before.state != fields["state"]:
        fields["state_since"] = now
    with transaction.atomic():
        AgentReport.objects.update_or_create(guest_id=pk, defaults=fields | {"answered_at": now})
        if before is None or before.state != fields["state"] or _moved(before, fields):
            publish(f"guest-{pk}")
    apply_addresses(host, {uuid: list(said.addresses)}, sources={"agent"})


def record_no_answer(host: Host, uuid: UUID, pk: int, state: AgentReport.State) -> None:
    """Note that there is no agent, or that it does not answer. What it said before stays, with its time."""
    with transaction.atomic():
        row, is_new = AgentReport.objects.get_or_create(guest_id=pk, defaults={"state": state})
        if is_new or row.state != state:
            AgentReport.objects.filter(pk=row.pk).update(state=state, state_since=timezone.now())
            publish(f"guest-{pk}")
    if state == AgentReport.State.ABSENT:
        apply_addresses(host, {uuid: []}, sources={"agent"})


def _interfaces(said: types.AgentReport) -> list[dict[str, Any]]:
    cards: dict[tuple[str, str], list[str]] = defaultdict(list)
    for entry in said.addresses:
        if entry.interface != "lo":
            cards[entry.interface, entry.mac].append(f"{entry.address}/{entry.prefix}")
    return [{"name": name, "mac": mac, "addresses": found} for (name, mac), found in cards.items()]


def _moved(before: AgentReport, fields: Mapping[str, Any]) -> bool:
    if any(getattr(before, name) != fields[name] for name in _SHOWN if name != "filesystems"):
        return True
    return _levels(before.filesystems) != _levels(fields["filesystems"])


def _levels(filesystems: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What of filesystems is news: that they are there, and how full they are, roughly."""
    return [(each["mountpoint"], each["type"], each["total_bytes"], round(100 * _share(each))) for each in filesystems]


def _share(filesystem: Mapping[str, Any]) -> float:
    return (filesystem["used_bytes"] or 0) / filesystem["total_bytes"] if filesystem["total_bytes"] else 0.0
