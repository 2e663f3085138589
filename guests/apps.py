from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from hosts.models import Host
    from virt.connection import Connection


class GuestsConfig(AppConfig):
    name = "guests"

    def ready(self) -> None:
        from jobs import live
        from storage import followers

        from .models import Guest

        live.register("guest", Guest)
        followers.register(_refresh)  # a disk was moved


def _refresh(host: "Host", conn: "Connection", uuid: str) -> None:
    from .inventory import refresh_guest  # brings libvirt along, which the scheduler never needs

    refresh_guest(host, conn, uuid)
