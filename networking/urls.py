from django.urls import path

from . import (
    retrying,  # noqa: F401 # says which jobs of networks can be retried from a page or over REST
    views,
)

app_name = "networking"
urlpatterns = [
    path("networks/", views.network_list, name="networks"),
    path("networks/<int:pk>/", views.network_detail, name="network"),
    path("networks/<int:pk>/start/", views.network_start, name="start"),
    path("networks/<int:pk>/stop/", views.network_stop, name="stop"),
    path("networks/<int:pk>/autostart/", views.network_autostart, name="autostart"),
    path("bridges/", views.bridge_list, name="bridges"),
]
