"""The query box of the guest list: free words, and key:value such as state:running host:kvm-a* mem:>16 cpu:>80."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import STALE_AFTER, Host
from virt.errors import Invalid

from .agents.models import AgentReport
from .list_models import Folder
from .models import TROUBLE_NONE, Disk, Guest, GuestQuerySet, Nic
from .names import key as name_key
from .sizes import parse_mib

_WORD = re.compile(r'(?:(?P<key>[a-z]+):(?!:))?(?P<value>"[^"]*"|\S+)')
_ADDRESS = re.compile(r"[0-9a-fA-F.:]+")
_COMPARE = re.compile(r"(?P<operator>>=|<=|>|<|=)?(?P<number>.+)")
_LOOKUPS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte", "=": "exact", None: "exact"}
_YES = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
MOST_WORDS = 20  # nobody types more, and each is a condition of the query


class Found(NamedTuple):
    """The guests that match, and what in the query was not understood (a sentence, or "")."""

    guests: GuestQuerySet
    problem: str


class _NotUnderstood(Exception):
    pass


def search(guests: GuestQuerySet, query: str) -> Found:
    """Narrow `guests` to those that match every word. A word that makes no sense is left out, and said."""
    query = query.replace("\0", " ").encode(errors="ignore").decode()  # what no database takes
    guests = guests.alias(addresses_text=Cast("addresses", TextField()))
    problem = ""
    wants_deleted = False
    for number, match in enumerate(_WORD.finditer(query)):
        if number == MOST_WORDS:
            problem = _("Only the first %(number)d words count.") % {"number": MOST_WORDS}
            break
        key, value = match["key"], match["value"].strip('"')
        if key not in _KEYS and _ADDRESS.fullmatch(match[0]):
            key, value = None, match[0]  # a MAC or an IPv6 address begins like a key
        if not value or (key is None and value.endswith(":") and value[:-1] in _KEYS):
            continue  # somebody is still typing
        try:
            wants_deleted |= (key, value) == ("state", "deleted")
            guests = guests.filter(_KEYS[key](value) if key in _KEYS else _unknown_key(key))
        except _NotUnderstood as error:
            problem = str(error)
    return Found(guests if wants_deleted else guests.listed(), problem)


def with_word(query: str, key: str, value: str) -> str:
    """`query` with `key:value` in the place of any other word of that key; without the key where `value` is empty."""
    kept = [match[0] for match in _WORD.finditer(query) if match["key"] != key]
    if value:
        kept.append(f'{key}:"{value}"' if re.search(r"\s", value) else f"{key}:{value}")
    return " ".join(kept)


class Chip(NamedTuple):
    """A key:value word of a query, and the query without it."""

    text: str
    query: str


def chips(query: str) -> list[Chip]:
    """The words of `query` that narrow by a key, each with what is left when it is taken away."""
    words = list(_WORD.finditer(query))
    return [
        Chip(word[0], " ".join(other[0] for other in words if other is not word))
        for word in words
        if word["key"] in _KEYS and word["key"]
    ]


def _unknown_key(key: str) -> Q:
    keys = ", ".join(f"{known}:" for known in _KEYS if known)
    raise _NotUnderstood(_("There is no “%(key)s:” to search for. There are %(keys)s.") % {"key": key, "keys": keys})


def _free(value: str) -> Q:
    found = Q(name__icontains=value) | Q(title__icontains=value) | Q(description__icontains=value)
    found |= Q(pk__in=_tagged(key__contains=name_key(value)))
    if _ADDRESS.fullmatch(value):
        cards = Nic.objects.filter(mac__istartswith=value) if ":" in value else Nic.objects.none()
        found |= Q(pk__in=cards.values("guest")) | Q(addresses_text__icontains=value)
    return found | _uuid(value) if _looks_like_uuid(value) else found


def _looks_like_uuid(value: str) -> bool:
    """Whether it may be the beginning of a UUID; shorter ones would match every second name of a build machine."""
    return bool(
        re.fullmatch(r"[0-9a-fA-F-]{8,36}", value) and re.fullmatch(r"[0-9a-fA-F]{8,32}", value.replace("-", ""))
    )


def _uuid(value: str) -> Q:
    digits = value.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise _NotUnderstood(_("“uuid:” wants the beginning of a UUID, such as uuid:6f1c22d0."))
    return Q(uuid__gte=UUID(digits.ljust(32, "0")), uuid__lte=UUID(digits.ljust(32, "f")))


def _mac(value: str) -> Q:
    return Q(pk__in=Nic.objects.filter(_text("mac")(value)).values("guest"))


def _tagged(**condition: str) -> Any:
    return Guest.tags.through.objects.filter(**{f"tag__{name}": value for name, value in condition.items()}).values(
        "guest"
    )


def _tag(value: str) -> Q:
    """Any of the tags, parted by commas; "none" for guests without one."""
    if value == "none":
        return ~Q(pk__in=_tagged())
    wanted = Q()
    for name in filter(None, value.split(",")):
        beginning = name.endswith("*")
        folded = name_key(name.rstrip("*"))
        wanted |= Q(pk__in=_tagged(**{"key__startswith" if beginning else "key": folded}))
    return wanted


def _in_folder(value: str) -> Q:
    """The folder and all below it; "none" for guests in none."""
    if value == "none":
        return Q(folder=None)
    folded = name_key(value.strip("/"))
    return Q(folder__in=Folder.objects.filter(Q(key=folded) | Q(key__startswith=f"{folded}/")))


def _stale(value: str) -> Q:
    """Old: not on its host any more, or its host has not been heard of for a while."""
    unheard = ~Q(state=Host.State.CONNECTED) | Q(seen_at__lt=timezone.now() - STALE_AFTER)
    old = Q(missing_since__isnull=False) | Q(host__in=Host.objects.filter(unheard).values("pk"))
    return old if _yes(value) else ~old


def _state(value: str) -> Q:
    wanted = Q()
    for state in value.lower().split(","):
        if state == "on":
            wanted |= Q(state__in=Guest.ON)
        elif state == "off":
            wanted |= Q(state__in=("shutoff", "saved", "crashed"))
        elif state == "deleted":
            wanted |= Q(state=Guest.State.MISSING)
        elif state == "attention":
            wanted |= Q(trouble__lt=TROUBLE_NONE)
        elif state in Guest.State.values:
            wanted |= Q(state=state)
        else:
            states = ", ".join(["on", "off", "attention", *Guest.State.values])
            raise _NotUnderstood(
                _("There is no state “%(state)s”. There are %(states)s.") % {"state": state, "states": states}
            )
    return wanted


def _text(field: str) -> Callable[[str], Q]:
    """Exact but for case; with * at an end, what begins or ends so."""

    def match(value: str) -> Q:
        kind = {(False, False): "iexact", (False, True): "istartswith", (True, False): "iendswith"}.get(
            (value.startswith("*"), value.endswith("*")), "icontains"
        )
        return Q(**{f"{field}__{kind}": value.strip("*")})

    return match


def _on_network(value: str) -> Q:
    return Q(pk__in=Nic.objects.filter(_text("source")(value)).values("guest"))


def _in_pool(value: str) -> Q:
    return Q(pk__in=Disk.objects.filter(_text("volume__pool__name")(value)).values("guest"))


def _memory(value: str) -> Q:
    operator, number = _comparison(value)
    try:
        mib = parse_mib(number, unit="GiB")
    except Invalid as error:
        raise _NotUnderstood(str(error)) from error
    return Q(**{f"memory_mib__{operator}": mib})


def _cpu(value: str) -> Q:
    operator, number = _comparison(value)
    if not re.fullmatch(r"\d{1,3}(\.\d+)?%?", number):
        raise _NotUnderstood(_("“cpu:” wants a percentage, such as cpu:>80."))
    return Q(**{f"cpu_percent__{operator}": float(number.removesuffix("%"))})


def _comparison(value: str) -> tuple[str, str]:
    match = _COMPARE.fullmatch(value)
    if not match:
        raise _NotUnderstood(_("“%(value)s” is no number to compare with.") % {"value": value})
    return _LOOKUPS[match["operator"]], match["number"]


def _system(value: str) -> Q:
    """What it was installed as, or what the agent inside says that it is by now."""
    told = AgentReport.objects.filter(Q(os_name__icontains=value) | Q(os_version__icontains=value))
    return Q(os_name__icontains=value) | Q(pk__in=told.values("guest"))


def _yes(value: str) -> bool:
    if value.lower() not in _YES:
        raise _NotUnderstood(_("“%(value)s” is neither yes nor no.") % {"value": value})
    return _YES[value.lower()]


def _yes_or_no(field: str) -> Callable[[str], Q]:
    return lambda value: Q(**{field: _yes(value)})


_KEYS: dict[str | None, Callable[[str], Q]] = {
    None: _free,
    "name": _text("name"),
    "state": _state,
    "host": _text("host__name"),
    "os": _system,
    "tag": _tag,
    "folder": _in_folder,
    "net": _on_network,
    "pool": _in_pool,
    "ip": lambda value: Q(addresses_text__icontains=f'"address": "{value.rstrip("*")}'),
    "mac": _mac,
    "uuid": _uuid,
    "mem": _memory,
    "cpu": _cpu,
    "restart": _yes_or_no("needs_restart"),
    "emulated": _yes_or_no("is_emulated"),
    "autostart": _yes_or_no("autostart"),
    "stale": _stale,
}
