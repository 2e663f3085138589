"""Pages of guests."""

from .changes import (
    guest_bulk,
    guest_delete,
    guest_edit,
    guest_eject,
    guest_forget,
    guest_media,
    guest_power,
)
from .detail import guest_detail, guest_hardware, guest_jobs, guest_xml
from .listing import guest_list, guest_menu, guest_row
from .new import guest_creating, guest_new, guest_preview

__all__ = [
    "guest_bulk",
    "guest_creating",
    "guest_delete",
    "guest_detail",
    "guest_edit",
    "guest_eject",
    "guest_forget",
    "guest_hardware",
    "guest_jobs",
    "guest_list",
    "guest_media",
    "guest_menu",
    "guest_new",
    "guest_power",
    "guest_preview",
    "guest_row",
    "guest_xml",
]
