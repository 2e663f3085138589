"""What somebody can do or open by typing it: pages, new things, and "start web-01"."""

from typing import NamedTuple

from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.models import User
from accounts.permissions import may
from guests.models import Guest
from guests.search import search
from guests.verbs import VERBS, Verb, offered
from kvmweb import navigation

MOST_GUESTS, MOST_LOOKED_AT = 5, 50
CONSOLE = "console"


class Command(NamedTuple):
    """`how`: "open" (follow the address), "act" (POST to it, the page stays) or "ask" (it is a question)."""

    text: str
    detail: str
    icon: str
    url: str
    how: str = "open"


def commands(user: User, query: str) -> list[Command]:
    """The commands whose words begin with what was typed; with nothing typed all pages and what can be made."""
    typed = " ".join(query.split()).casefold()
    return [*_verbs(user, typed), *(known for known in _static(user) if _is_meant(typed, known.text))]


def _is_meant(typed: str, text: str) -> bool:
    """Each typed word begins a word of the command: "ne gu" means "New guest"."""
    words = text.casefold().split()
    return all(any(word.startswith(part) for word in words) for part in typed.split())


def _static(user: User) -> list[Command]:
    made = []
    if may(user, "create"):
        made = [
            Command(_("New guest"), "", "plus", reverse("guests:new")),
            Command(_("Upload an ISO"), "", "upload", reverse("storage:isos")),
        ]
    pages = navigation.sections("", is_administrator=may(user, "administer"))
    made += [
        Command(str(link.entry.label), _("Page"), link.entry.icon, link.url) for part in pages for link in part.links
    ]
    return [
        *made,
        Command(_("Tags and folders"), _("Page"), "tag", reverse("guests:tags")),
        Command(_("Saved views"), _("Page"), "list", reverse("guests:views")),
        Command(_("Your settings"), _("Page"), "user", reverse("accounts:me")),
        Command(_("API documentation"), _("Page"), "code", reverse("api_docs")),
    ]


def _verbs(user: User, typed: str) -> list[Command]:
    """ "start web" → Start web-01, Start web-02: of the guests that can be started, and may be by this user."""
    meant = [(verb, rest) for verb in VERBS.values() for rest in _object_of(verb, typed)]
    opened = [rest for rest in (_after(word, typed) for word in {CONSOLE, _("Console").casefold()}) if rest]
    if not meant and not opened:
        return []
    made: list[Command] = []
    for verb, rest in meant[:2]:  # "res" begins "reset" and "restart", and nobody wants to read on
        guests = search(Guest.objects.permitted(user, "operate"), rest).guests.filter(missing_since=None)
        rows = guests.select_related("host").only("name", "state", "host__name").order_by("name")[:MOST_LOOKED_AT]
        fitting = [guest for guest in rows if verb in offered(guest)]
        made += [_switch(verb, guest) for guest in fitting[:MOST_GUESTS]]
    for rest in opened[:1]:
        guests = search(Guest.objects.permitted(user, "console"), rest).guests.filter(state__in=Guest.ON)
        rows = guests.select_related("host").only("name", "host__name").order_by("name")[:MOST_GUESTS]
        title = _("Console of %(name)s")
        made += [
            Command(title % {"name": row.name}, row.host.name, "terminal", reverse("consoles:console", args=[row.pk]))
            for row in rows
        ]
    return made


def _object_of(verb: Verb, typed: str) -> list[str]:
    """What stands behind the verb, in the user's language or in English; empty where it was not typed."""
    words = {verb.title.casefold(), verb.name, verb.virsh}
    return sorted({rest for word in words if (rest := _after(word, typed))})[:1]


def _after(word: str, typed: str) -> str:
    return typed.removeprefix(f"{word} ").strip() if typed.startswith(f"{word} ") else ""


def _switch(verb: Verb, guest: Guest) -> Command:
    return Command(
        f"{verb.title} {guest.name}",
        guest.host.name,
        verb.shape,
        reverse("guests:power", args=[guest.pk, verb.name]),
        "ask" if verb.loses else "act",
    )
