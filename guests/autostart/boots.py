"""Telling one boot of a host from the next."""

from django.utils.translation import gettext as _

from hosts import commands
from hosts import inventory as hosts
from hosts.models import Host
from virt.errors import UserError


def knows_boots(host: Host) -> bool:
    """Whether kvmweb can tell one boot of the host from the next: here, or over SSH."""
    return commands.can_run(host)


def read_boot_id(host: Host) -> str:
    """Which boot of the machine this is. For workers and the watcher. Raises UserError."""
    boot_id = hosts.boot_of(host) or commands.read(host, ["cat", str(hosts.BOOT_ID)], timeout_s=10).strip()
    if not boot_id or len(boot_id) > 64:
        raise UserError(_("%(host)s did not say which boot it is in.") % {"host": host.name})
    return boot_id
