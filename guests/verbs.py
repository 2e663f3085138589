"""How the ways to switch a guest look on a page, and which of them make sense in which state."""

from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .models import Guest


class Verb(NamedTuple):
    """`name` is that of the task in `tasks.power`, of the address and of REST. With `loses` it is asked first."""

    name: str
    text: str | Promise
    shape: str
    virsh: str
    loses: str | Promise = ""

    @property
    def title(self) -> str:
        """The words of its question: "Force off" of "Force off…"."""
        return str(self.text).rstrip("…")


_PLUG = _("What the guest has not written to its disks yet is lost, as when somebody pulls the plug.")

VERBS = {
    verb.name: verb
    for verb in (
        Verb("start", pgettext_lazy("guest", "Start"), "play", "start"),
        Verb("shutdown", _("Shut down"), "power", "shutdown"),
        Verb("reboot", _("Restart"), "restart", "reboot"),
        Verb("suspend", _("Pause"), "pause", "suspend"),
        Verb("resume", _("Resume"), "play", "resume"),
        Verb("save", pgettext_lazy("guest", "Save"), "save", "managedsave"),
        Verb("reset", _("Reset…"), "reset", "reset", _PLUG),
        Verb("destroy", _("Force off…"), "force-off", "destroy", _PLUG),
    )
}
BULK = ("start", "shutdown", "reboot", "suspend", "resume", "destroy")

_State = Guest.State
_OFFERED: dict[str, tuple[str, ...]] = {
    _State.RUNNING: ("shutdown", "reboot", "suspend", "save", "reset", "destroy"),
    _State.SHUTTING_DOWN: ("reset", "destroy"),
    _State.PAUSED: ("resume", "save", "reset", "destroy"),
    _State.SUSPENDED: ("resume", "destroy"),
    _State.SHUTOFF: ("start",),
    _State.CRASHED: ("start",),
    _State.SAVED: ("start",),
}


def offered(guest: Guest) -> list[Verb]:
    """What can be done with a guest in this state, the most likely first."""
    return [VERBS[name] for name in _OFFERED.get(guest.state, ())]
