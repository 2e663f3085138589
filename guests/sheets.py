"""What the hosts can give guests, kept as rows: a page that plans a guest asks no libvirt."""

import json
from dataclasses import asdict, fields

from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import Host
from virt.connection import Connection
from virt.errors import NotSupported, UserError
from virt.host import compat_sheet
from virt.types import CompatSheet, OsTraits

from .models import Sheet

MACHINES = {"x86_64": ("q35", "pc"), "aarch64": ("virt",), "riscv64": ("virt",)}


class NotReady(UserError):
    """What the host can give guests is not known yet."""

    code, status = "host_not_ready", 409


def refresh_sheets(host: Host, conn: Connection) -> None:
    """Read what guests of each type and machine can have on the host. Raises VirtError when the host is away."""
    machines = MACHINES.get(host.facts.get("arch", "x86_64"), MACHINES["x86_64"])
    for domain_type in ("kvm", "qemu"):
        for machine in machines:
            row = Sheet.objects.filter(host=host, domain_type=domain_type, machine=machine)
            try:
                sheet = compat_sheet(conn, machine=machine, domain_type=domain_type)
            except NotSupported:  # no KVM on this host, or a QEMU without the older machine
                row.delete()
                continue
            data = json.loads(json.dumps(asdict(sheet)))
            if not row.filter(data=data).exists():
                Sheet.objects.update_or_create(
                    host=host,
                    domain_type=domain_type,
                    machine=machine,
                    defaults={"data": data, "read_at": timezone.now()},
                )


def domain_type_of(host: Host) -> str:
    """kvm where a guest was seen to boot on it, else qemu: works everywhere, slowly."""
    return "kvm" if host.kvm_works else "qemu"


def sheet_for(host: Host, os: OsTraits | None = None) -> CompatSheet:
    """The sheet for a new guest of that system. Raises NotReady before the host was first connected."""
    rows = {row.machine: row for row in Sheet.objects.filter(host=host, domain_type=domain_type_of(host))}
    if not rows:
        raise NotReady(
            _("It is not known yet what guests can have on %(host)s. Wait until it is connected.") % {"host": host.name}
        )
    wanted = "pc" if os and not os.q35 else "q35"
    row = rows.get(wanted) or next(iter(rows.values()))
    return _from_json(row.data)


def most_vcpus(host: Host, *, is_emulated: bool) -> int | None:
    """The most vCPUs that a guest can have on the host, or None where that is not known yet."""
    rows = Sheet.objects.filter(host=host, domain_type="qemu" if is_emulated else "kvm")
    return max((row.data["max_vcpus"] for row in rows), default=None)


def _from_json(data: dict[str, object]) -> CompatSheet:
    values = {field.name: data[field.name] for field in fields(CompatSheet)}
    return CompatSheet(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items()})  # type: ignore[arg-type]
