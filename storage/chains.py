"""Which image lies on which, from a volume down to what it cannot do without."""

import os.path
from typing import NamedTuple

from django.db.models import F
from django.utils.translation import gettext as _

from .models import Pool, Volume

LONGEST_CHAIN = 20


class Link(NamedTuple):
    """One image of a backing chain; `volume` is None where it lies in no pool that we know."""

    path: str
    volume: Volume | None
    problem: str = ""  # a sentence


def backing_chain(volume: Volume) -> list[Link]:
    """What the volume lies on, the next one first, as far as it is known; the last link says what is wrong with it."""
    chain: list[Link] = []
    path, seen = volume.backing_path, {volume.path}
    while path:
        if path in seen:
            return [*chain, Link(path, None, _("The chain runs in a circle here. No guest can start with it."))]
        if len(chain) == LONGEST_CHAIN:
            return [*chain, Link(path, None, _("The chain is longer than kvmweb follows it."))]
        seen.add(path)
        below = (
            Volume.objects.filter(path=path, pool__host=volume.pool.host_id)
            .select_related("pool")
            .order_by(F("missing_since").asc(nulls_first=True))
            .first()
        )
        chain.append(Link(path, below, _problem(volume, path, below)))
        path = below.backing_path if below else ""
    return chain


def _problem(volume: Volume, path: str, below: Volume | None) -> str:
    if below and below.missing_since:
        return _("It is not in its pool any more. Without it nothing above it can be read.")
    if below:
        return ""
    folder = os.path.dirname(path)
    if Pool.objects.filter(host=volume.pool.host_id, target_path=folder, is_active=True, missing_since=None).exists():
        return _("There is no such file in its pool. Without it nothing above it can be read.")
    return _("It lies in no pool that kvmweb knows. Whether it is there, nobody watches.")
