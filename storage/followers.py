"""Who wants to know that a job here changed a guest: the rooms above register, this room cannot import them."""

from collections.abc import Callable

from hosts.models import Host
from virt.connection import Connection

Follower = Callable[[Host, Connection, str], object]
_followers: list[Follower] = []


def register(follower: Follower) -> None:
    """Have `follower(host, conn, uuid)` called after a job of this room changed that guest."""
    _followers.append(follower)


def guest_changed(host: Host, conn: Connection, uuid: str) -> None:
    """Tell them."""
    for follower in _followers:
        follower(host, conn, uuid)
