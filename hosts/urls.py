from django.urls import include, path

from . import views

app_name = "hosts"
urlpatterns = [
    path("", views.host_list, name="list"),
    path("<int:pk>/", views.host_detail, name="detail"),
    path("<int:pk>/graphs/", views.host_graphs, name="graphs"),
    path("<int:pk>/guests/", views.host_guests, name="guests"),
    path("<int:pk>/storage/", views.host_storage, name="storage"),
    path("<int:pk>/networks/", views.host_networks, name="networks"),
    path("<int:pk>/checks/", views.host_checks, name="checks"),
    path("<int:pk>/", include("hosts.hardware.urls")),
    path("", include("hosts.reaching.urls")),
    path("<int:pk>/check/", views.host_check, name="check"),
    path("<int:pk>/probe/", views.host_probe, name="probe"),
    path("<int:pk>/prepare/", views.host_prepare, name="prepare"),
    path("<int:pk>/rename/", views.host_rename, name="rename"),
    path("<int:pk>/disable/", views.host_disable, name="disable"),
    path("<int:pk>/enable/", views.host_enable, name="enable"),
]
