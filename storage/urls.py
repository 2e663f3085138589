from django.urls import path

from . import iso_views, views

app_name = "storage"
urlpatterns = [
    path("isos/", iso_views.isos, name="isos"),
    path("isos/<int:pk>/", iso_views.iso, name="iso"),
    path("isos/<int:pk>/menu/", iso_views.iso_menu, name="iso_menu"),
    path("isos/<int:pk>/row/", iso_views.iso_row, name="iso_row"),
    path("isos/<int:pk>/check/", iso_views.iso_check, name="iso_check"),
    path("isos/<int:pk>/system/", iso_views.iso_system, name="iso_system"),
    path("isos/<int:pk>/checksum/", iso_views.iso_checksum, name="iso_checksum"),
    path("isos/<int:pk>/delete/", iso_views.iso_delete, name="iso_delete"),
    path("pools/", views.pools, name="pools"),
    path("pools/<int:pk>/", views.pool, name="pool"),
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
    path("volumes/<int:pk>/grow/", views.volume_grow, name="volume_grow"),
    path("volumes/<int:pk>/delete/", views.volume_delete, name="volume_delete"),
]
