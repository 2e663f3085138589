"""The columns of the guest list: which there are, and which of them somebody wants, in which order."""

from collections.abc import Iterable
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Column(NamedTuple):
    """`css` is the class of its cells; by `sort`, a key of `listing.SORTS`, a click on its head sorts."""

    name: str
    label: str | Promise
    css: str = ""
    sort: str = ""
    is_usual: bool = True


# State and name always come first: a row without them says nothing.
FIXED = (Column("state", _("State"), "c-st", "state"), Column("name", _("Name"), "c-nm", "name"))
CHOICES = {
    column.name: column
    for column in (
        Column("host", _("Host"), "", "host"),
        Column("folder", _("Folder"), "", "folder", is_usual=False),
        Column("vcpus", _("vCPU"), "num", "vcpus"),
        Column("cpu", _("CPU now"), "c-cpu", "cpu"),
        Column("memory", _("Memory used"), "", "memory"),
        Column("disk", _("Disk used"), "tn lo2"),
        Column("disk_io", _("Disk reads and writes"), "", "disk_io", is_usual=False),
        Column("net_io", _("Network in and out"), "", "net_io", is_usual=False),
        Column("address", _("Address"), "tn mono"),
        Column("network", _("Network"), is_usual=False),
        Column("os", _("System"), "", "os", is_usual=False),
        Column("tags", _("Tags"), "lo3"),
        Column("since", pgettext_lazy("column", "State since"), "num lo1", "since"),
        Column("autostart", _("Starts with its host"), "", "autostart", is_usual=False),
        Column("title", _("Title"), "", "title", is_usual=False),
        Column("uuid", _("UUID"), "mono", is_usual=False),
    )
}
SORTABLE = {column.sort for column in (*FIXED, *CHOICES.values()) if column.sort}
USUAL = tuple(name for name, column in CHOICES.items() if column.is_usual)


def known(names: object) -> list[str]:
    """Of `names`, which may come from anywhere, those that are columns to choose, each once."""
    if not isinstance(names, Iterable):
        return []
    return list(dict.fromkeys(name for name in names if isinstance(name, str) and name in CHOICES))


def shown(names: Iterable[str], *, many_hosts: bool) -> list[Column]:
    """The columns of a list. With one host there is no column for it."""
    wanted = [CHOICES[name] for name in known(names) or USUAL if many_hosts or name != "host"]
    return [*FIXED, *wanted]
