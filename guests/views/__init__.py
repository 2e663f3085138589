"""Pages of guests."""

from .arranging import (
    folder_change,
    guest_tags,
    list_changes,
    list_undo,
    tag_change,
    tags_and_folders,
)
from .bulk import guest_bulk
from .changes import (
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
from .listing import guest_facets, guest_list, guest_menu, guest_row
from .new import guest_creating, guest_new, guest_preview
from .saved import list_columns, view_change, view_new, views

__all__ = [
    "folder_change",
    "guest_acknowledge",
    "guest_bulk",
    "guest_creating",
    "guest_definition",
    "guest_delete",
    "guest_detail",
    "guest_edit",
    "guest_eject",
    "guest_facets",
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
    "guest_tags",
    "guest_xml",
    "list_changes",
    "list_columns",
    "list_undo",
    "outside_changes",
    "tag_change",
    "tags_and_folders",
    "view_change",
    "view_new",
    "views",
]
