from django.urls import path

from . import copy_views, iso_views, pool_views, views
from .copies import views as image_copy_views
from .current import views as current_views
from .fetching import views as fetch_views
from .importing import views as import_views
from .signers import views as signer_views
from .trees import views as tree_views

app_name = "storage"
urlpatterns = [
    path("isos/", iso_views.isos, name="isos"),
    path("isos/fetch/", fetch_views.fetch, name="fetch"),
    path("isos/fetch/entry/", fetch_views.fetch_entry, name="fetch_entry"),
    path("isos/signers/", signer_views.signers, name="signers"),
    path("isos/signers/<int:pk>/delete/", signer_views.signer_delete, name="signer_delete"),
    path("isos/catalogue/refresh/", fetch_views.refresh, name="catalogue_refresh"),
    path("isos/<int:pk>/", iso_views.iso, name="iso"),
    path("isos/<int:pk>/menu/", iso_views.iso_menu, name="iso_menu"),
    path("isos/<int:pk>/row/", iso_views.iso_row, name="iso_row"),
    path("isos/<int:pk>/check/", iso_views.iso_check, name="iso_check"),
    path("isos/<int:pk>/system/", iso_views.iso_system, name="iso_system"),
    path("isos/<int:pk>/checksum/", iso_views.iso_checksum, name="iso_checksum"),
    path("isos/<int:pk>/copy/", image_copy_views.copy, name="iso_copy"),
    path("isos/<int:pk>/current/", current_views.keep, name="iso_current"),
    path("isos/<int:pk>/current/off/", current_views.off, name="iso_current_off"),
    path("isos/<int:pk>/current/ask/", current_views.ask, name="iso_current_ask"),
    path("isos/<int:pk>/look-inside/", import_views.inspect, name="inspect"),
    path("isos/<int:pk>/unpack/", import_views.unpack, name="unpack"),
    path("isos/<int:pk>/import/", import_views.import_disks, name="import"),
    path("isos/<int:pk>/tree/", tree_views.publish, name="tree"),
    path("isos/<int:pk>/tree/withdraw/", tree_views.withdraw, name="tree_withdraw"),
    path("isos/<int:pk>/delete/", iso_views.iso_delete, name="iso_delete"),
    path("pools/", views.pools, name="pools"),
    path("pools/new/", pool_views.pool_new, name="pool_new"),
    path("pools/look/", pool_views.pool_look, name="pool_look"),
    path("pools/<int:pk>/", views.pool, name="pool"),
    path("pools/<int:pk>/xml/", pool_views.pool_xml, name="pool_xml"),
    path("pools/<int:pk>/edit/", pool_views.pool_edit, name="pool_edit"),
    path("pools/<int:pk>/delete/", pool_views.pool_delete, name="pool_delete"),
    path("pools/<int:pk>/warning/", pool_views.pool_warning, name="pool_warning"),
    path("pools/<int:pk>/let-qemu-in/", pool_views.pool_let_in, name="pool_let_in"),
    path("pools/<int:pk>/volumes/", views.pool_volumes, name="pool_volumes"),
    path("pools/<int:pk>/menu/", views.pool_menu, name="pool_menu"),
    path("pools/<int:pk>/row/", views.pool_row, name="pool_row"),
    path("pools/<int:pk>/start/", views.pool_start, name="pool_start"),
    path("pools/<int:pk>/stop/", views.pool_stop, name="pool_stop"),
    path("pools/<int:pk>/refresh/", views.pool_refresh, name="pool_refresh"),
    path("pools/<int:pk>/autostart/", views.pool_autostart, name="pool_autostart"),
    path("pools/<int:pk>/volumes/new/", views.volume_new, name="volume_new"),
    path("volumes/", views.volumes, name="volumes"),
    path("volumes/<int:pk>/", views.volume, name="volume"),
    path("volumes/<int:pk>/menu/", views.volume_menu, name="volume_menu"),
    path("volumes/<int:pk>/row/", views.volume_row, name="volume_row"),
    path("volumes/<int:pk>/resize/", copy_views.volume_resize, name="volume_resize"),
    path("volumes/<int:pk>/copy/", copy_views.volume_copy, name="volume_copy"),
    path("volumes/<int:pk>/move/", copy_views.volume_move, name="volume_move"),
    path("volumes/<int:pk>/wipe/", copy_views.volume_wipe, name="volume_wipe"),
    path("volumes/<int:pk>/delete/", views.volume_delete, name="volume_delete"),
]
