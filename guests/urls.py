from django.urls import path

from . import (
    retrying,  # noqa: F401 # says which jobs of guests can be retried from a page or over REST
    views,
)
from .disks.views import disk_leftovers, disk_reassign

app_name = "guests"
urlpatterns = [
    path("", views.guest_list, name="list"),
    path("bulk/", views.guest_bulk, name="bulk"),
    path("changes/", views.outside_changes, name="outside_changes"),
    path("filters/", views.guest_facets, name="facets"),
    path("columns/", views.list_columns, name="columns"),
    path("views/", views.views, name="views"),
    path("views/new/", views.view_new, name="view_new"),
    path("views/<int:pk>/", views.view_change, name="view_change"),
    path("tags/", views.tags_and_folders, name="tags"),
    path("tags/<int:pk>/", views.tag_change, name="tag_change"),
    path("folders/<int:pk>/", views.folder_change, name="folder_change"),
    path("undo/", views.list_changes, name="undo_list"),
    path("undo/<int:pk>/", views.list_undo, name="undo"),
    path("new/", views.guest_new, name="new"),
    path("new/preview/", views.guest_preview, name="new_preview"),
    path("creating/<int:pk>/", views.guest_creating, name="creating"),
    path("<int:pk>/", views.guest_detail, name="detail"),
    path("<int:pk>/hardware/", views.guest_hardware, name="hardware"),
    path("<int:pk>/graphs/", views.guest_graphs, name="graphs"),
    path("<int:pk>/jobs/", views.guest_jobs, name="jobs"),
    path("<int:pk>/xml/", views.guest_xml, name="xml"),
    path("<int:pk>/history/", views.guest_history, name="history"),
    path("<int:pk>/history/seen/", views.guest_acknowledge, name="acknowledge"),
    path("<int:pk>/history/<int:number>/", views.guest_definition, name="definition"),
    path("<int:pk>/history/<int:number>/restore/", views.guest_restore, name="restore"),
    path("<int:pk>/tags/", views.guest_tags, name="guest_tags"),
    path("<int:pk>/row/", views.guest_row, name="row"),
    path("<int:pk>/menu/", views.guest_menu, name="menu"),
    path("<int:pk>/power/<slug:verb>/", views.guest_power, name="power"),
    path("<int:pk>/edit/", views.guest_edit, name="edit"),
    path("<int:pk>/delete/", views.guest_delete, name="delete"),
    path("<int:pk>/forget/", views.guest_forget, name="forget"),
    path("leftovers/", disk_leftovers, name="leftovers"),
    path("<int:pk>/disks/<slug:target>/reassign/", disk_reassign, name="disk_reassign"),
    path("<int:pk>/media/<slug:target>/", views.guest_media, name="media"),
    path("<int:pk>/media/<slug:target>/eject/", views.guest_eject, name="eject"),
]
