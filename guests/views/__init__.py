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
from .graphs import guest_graphs
from .history import guest_acknowledge, guest_definition, guest_history, guest_restore, outside_changes
from .listing import guest_list, guest_menu, guest_row
from .new import guest_creating, guest_new, guest_preview

__all__ = [
    "guest_acknowledge",
    "guest_bulk",
    "guest_creating",
    "guest_definition",
    "guest_delete",
    "guest_detail",
    "guest_edit",
    "guest_eject",
    "guest_forget",
    "guest_graphs",
    "guest_hardware",
    "guest_history",
    "guest_jobs",
    "guest_list",
    "guest_media",
    "guest_menu",
    "guest_new",
    "guest_power",
    "guest_preview",
    "guest_restore",
    "guest_row",
    "guest_xml",
    "outside_changes",
]
