from django.urls import path

from . import views

app_name = "usage"
urlpatterns = [
    path("", views.top, name="top"),
    path("sizes/", views.sizes, name="sizes"),
]
