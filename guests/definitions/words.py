"""What differs between two definitions, as sentences and as lines of XML."""

import difflib
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from virt.definition_diff import DefinitionChange, compare_definitions
from virt.errors import Invalid

MOST_LINES = 20_000  # of one definition; comparing more would keep a page waiting

_NAMES: dict[str, str | Promise] = {
    "name": gettext_lazy("Name"),
    "title": gettext_lazy("Title"),
    "description": gettext_lazy("Notes"),
    "memory": gettext_lazy("Memory"),
    "current memory": gettext_lazy("Memory at start"),
    "maximum memory": gettext_lazy("Most memory"),
    "vcpus": gettext_lazy("vCPUs"),
    "type": gettext_lazy("Type"),
    "arch": gettext_lazy("Architecture"),
    "machine": gettext_lazy("Machine"),
    "firmware": gettext_lazy("Firmware"),
    "cpu": gettext_lazy("CPU"),
    "boot order": gettext_lazy("Boot order"),
    "disk": gettext_lazy("Disk"),
    "interface": gettext_lazy("Network card"),
    "graphics": gettext_lazy("Display"),
    "video": gettext_lazy("Video card"),
    "sound": gettext_lazy("Sound card"),
    "audio": gettext_lazy("Audio backend"),
    "controller": gettext_lazy("Controller"),
    "serial": gettext_lazy("Serial port"),
    "parallel": gettext_lazy("Parallel port"),
    "console": gettext_lazy("Text console"),
    "channel": gettext_lazy("Channel"),
    "input": gettext_lazy("Input device"),
    "tpm": pgettext_lazy("device", "TPM"),
    "rng": gettext_lazy("Random numbers"),
    "watchdog": gettext_lazy("Watchdog"),
    "memballoon": gettext_lazy("Memory balloon"),
    "hostdev": gettext_lazy("Device of the host"),
    "filesystem": gettext_lazy("Shared directory"),
    "redirdev": gettext_lazy("USB redirection"),
    "emulator": gettext_lazy("Emulator"),
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A difference in words. `kind` is added, removed or changed."""

    kind: str
    text: str
    before: str | None
    after: str | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What differs between two definitions. A line is its kind (add, del, ctx or hunk) and its text."""

    changes: list[Change]
    lines: list[tuple[str, str]]
    problem: str = ""


def compare(old: str, new: str) -> Comparison:
    """The differences of two definitions. Never raises: where they cannot be compared, `problem` says why."""
    if max(old.count("\n"), new.count("\n")) > MOST_LINES:
        return Comparison(changes=[], lines=[], problem=_("The definitions are too long to be compared here."))
    try:
        changes = [_in_words(change) for change in compare_definitions(old, new)]
    except Invalid as error:
        return Comparison(changes=[], lines=_lines(old, new), problem=str(error))
    return Comparison(changes=changes, lines=_lines(old, new))


def _in_words(change: DefinitionChange) -> Change:
    name = str(_NAMES.get(change.what, "")) or change.what
    subject = " ".join(filter(None, (name, change.which)))
    thing = ": ".join(filter(None, (subject, change.path)))
    words = {"thing": thing, "before": change.before or "—", "after": change.after or "—"}
    if change.before is None:
        text, kind = (_("%(thing)s added: %(after)s") if change.after else _("%(thing)s added")), "added"
    elif change.after is None:
        text, kind = (_("%(thing)s removed: %(before)s") if change.before else _("%(thing)s removed")), "removed"
    else:
        text, kind = _("%(thing)s: %(before)s → %(after)s"), "changed"
    return Change(kind=kind, text=text % words, before=change.before, after=change.after)


def _lines(old: str, new: str) -> list[tuple[str, str]]:
    kinds = {"+": "add", "-": "del", " ": "ctx", "@": "hunk"}
    diff = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm=""))[2:]
    return [(kinds[line[0]], line if line[0] == "@" else line[1:]) for line in diff if line]
