"""Reading on the host what libvirt cannot tell: one fixed command that changes nothing. For workers only."""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import commands
from hosts.hardware.models import HostReport
from hosts.models import Host
from virt.errors import NotSupported, UserError, VirtError

SCRIPT = Path(__file__).with_name("read.sh")
CONTAINER_SIGNS = (Path("/.dockerenv"), Path("/run/.containerenv"))  # Docker's, Podman's
PROC = Path("/proc")
TIMEOUT_S = 120.0
MOST_LINES, LONGEST_LINE, MOST_PATHS = 5000, 1000, 200


class ReadingFailed(VirtError):
    """The host ran the command and it did not come to its end."""

    code = "reading_failed"


def read(host: Host, *, uid: int | None, directories: Iterable[str]) -> dict[str, list[str]]:
    """What the host tells of itself, by key. `directories` are those of pools, `uid` is QEMU's user.

    Raises NotSupported where no command can be run, ReadingFailed, or what hosts.commands.run raises.
    """
    if not commands.can_run(host):
        raise NotSupported(
            _(
                "kvmweb can run commands only on its own machine and on hosts reached over SSH; %(host)s is reached "
                "otherwise."
            )
            % {"host": host.name}
        )
    if host.is_local and _in_a_container():
        raise NotSupported(
            _(
                "kvmweb runs in a container, where it sees the container instead of %(host)s. Change the connection of "
                "the host to SSH to have it checked."
            )
            % {"host": host.name}
        )
    ahead_s, doubt_s = _clock(host)
    paths = [path for path in dict.fromkeys(directories) if path.startswith("/") and path.isprintable()]
    done = commands.run(
        host,
        ["sh", "-c", SCRIPT.read_text(), "sh", str(uid if uid is not None else 0)],
        stdin="".join(f"{path}\n" for path in paths[:MOST_PATHS]),
        timeout_s=TIMEOUT_S,
    )
    values = parse(done.stdout)
    if "end" not in values:
        raise ReadingFailed(
            _("The checks did not come to their end on %(host)s.") % {"host": host.name}, details=done.stderr[-2000:]
        )
    return values | {"clock_ahead_s": [f"{ahead_s:.3f}"], "clock_doubt_s": [f"{doubt_s:.3f}"]}


def parse(output: str) -> dict[str, list[str]]:
    """Lines "key=value" by their key. What a host claims is bounded; control characters are left out."""
    values: dict[str, list[str]] = {}
    for line in output.splitlines()[:MOST_LINES]:
        key, found, value = line.partition("=")
        if found and key.replace("_", "").isalnum() and key.isascii() and len(key) < 40:
            clean = "".join(c for c in value[:LONGEST_LINE] if c.isprintable()).strip()
            if clean:
                values.setdefault(key, []).append(clean)
    return values


def keep(host: Host, values: dict[str, list[str]] | None, error: UserError | None = None) -> None:
    """Note what was read, or why nothing could be: then what was read before stays, with its time."""
    now = timezone.now()
    fields: dict[str, object] = {"readings_tried_at": now, "readings_error": ""}
    if error:
        fields["readings_error"] = f"{error} {error.details}".strip()[:2000]
    if values is not None:
        fields |= {"readings": values, "readings_at": now}
    HostReport.objects.update_or_create(host=host, defaults=fields)


def _in_a_container() -> bool:
    """Whether libvirt runs outside of ours. Images of containers that became machines keep the sign."""
    if not any(sign.exists() for sign in CONTAINER_SIGNS):
        return False
    for name in PROC.glob("[0-9]*/comm"):
        with suppress(OSError):  # it ended
            if name.read_text().strip() in ("libvirtd", "virtqemud"):
                return False
    return True


def _clock(host: Host) -> tuple[float, float]:
    """By how many seconds the host's clock is ahead of ours, and how sure that is."""
    before, begin = time.time(), time.monotonic()
    told = commands.run(host, ["date", "+%s.%N"], timeout_s=30).stdout.strip()
    took = time.monotonic() - begin
    whole, _dot, rest = told.partition(".")
    if not whole.isdigit():
        raise ReadingFailed(_("%(host)s does not tell its time.") % {"host": host.name}, details=told[:200])
    now = float(f"{whole}.{rest}") if rest.isdigit() else float(whole) + 0.5
    return now - (before + took / 2), took / 2 + (0.0 if rest.isdigit() else 0.5)
