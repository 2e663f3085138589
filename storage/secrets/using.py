"""Who asks for secrets, from rows, in a constant number of queries."""

from collections.abc import Collection
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet

from hosts.models import Host
from storage.models import Pool, Volume
from virt.secret_xml import secrets_named

from .models import HostSecret

SHOWN = 5


class User(NamedTuple):
    """A pool, volume or guest that has to do with a secret."""

    kind: str  # pool, volume or guest
    name: str
    url: str


class Users(NamedTuple):
    """Of one secret: guests and pools ask for it; `volumes` are what it opens."""

    askers: list[User]
    volumes: list[User]

    @property
    def all(self) -> list[User]:
        return [*self.volumes, *self.askers]


def users_of(host: Host, rows: Collection[HostSecret]) -> dict[int, Users]:
    """Of secrets of one host, by row id. What a definition names is read in the definition itself."""
    found = {row.pk: Users([], []) for row in rows}
    if not rows:
        return found
    by_path = {row.usage_id: row for row in rows if row.usage == "volume"}
    volumes = Volume.objects.filter(pool__host=host, missing_since=None, path__in=by_path).select_related("pool")
    for volume in volumes:
        found[by_path[volume.path].pk].volumes.append(User("volume", volume.name, volume.get_absolute_url()))
    names_some = Q(xml__contains="<secret ") | Q(xml__contains=" secret=")
    _add(found, rows, "pool", Pool.objects.filter(names_some, host=host, missing_since=None))
    _add(found, rows, "guest", host.guests.filter(names_some, missing_since=None))
    return found


def _add(found: dict[int, Users], rows: Collection[HostSecret], kind: str, objects: "QuerySet[Any]") -> None:
    by_uuid = {str(row.uuid): row for row in rows}
    by_use = {(row.usage, row.usage_id): row for row in rows if row.usage}
    for each in objects.only("pk", "name", "xml").order_by("name"):
        for use in secrets_named(each.xml):
            row = by_uuid.get(use.uuid) if use.uuid else by_use.get((use.usage, use.usage_id))
            user = User(kind, each.name, each.get_absolute_url())
            if row and user not in found[row.pk].askers:
                found[row.pk].askers.append(user)
