"""The jobs of guests. Celery imports this module, and with it every task and every undo verb."""

from guests.disks.tasks import reassign_disk
from guests.strays.tasks import look_for_stray_files

from . import undo
from .bulk import power_guests
from .change import change_guest, change_media
from .create import create_guest
from .delete import delete_guest
from .hand_over import hand_over_autostart
from .host import HOST_VERBS, autostart_guests, power_host, shut_down_guests
from .leftovers import look_for_leftovers
from .power import (
    destroy_guest,
    reboot_guest,
    reset_guest,
    resume_guest,
    save_guest,
    shutdown_guest,
    start_guest,
    suspend_guest,
)
from .restore import restore_definition

__all__ = [
    "HOST_VERBS",
    "autostart_guests",
    "change_guest",
    "change_media",
    "create_guest",
    "delete_guest",
    "destroy_guest",
    "hand_over_autostart",
    "look_for_leftovers",
    "look_for_stray_files",
    "power_guests",
    "power_host",
    "reassign_disk",
    "reboot_guest",
    "reset_guest",
    "restore_definition",
    "resume_guest",
    "save_guest",
    "shut_down_guests",
    "shutdown_guest",
    "start_guest",
    "suspend_guest",
    "undo",
]
