from django.urls import path

from . import views

urlpatterns = [
    path("", views.overview, name="overview"),
    path("first-steps/close/", views.close_first_steps, name="close_first_steps"),
]
