from django.urls import path

from hosts.checks.views import host_examine

from . import views

urlpatterns = [
    path("facts/", views.host_facts, name="facts"),
    path("devices/", views.host_devices, name="devices"),
    path("examine/", host_examine, name="examine"),
]
