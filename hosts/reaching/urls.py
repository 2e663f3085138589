from django.urls import path

from . import views

urlpatterns = [
    path("add/", views.add, name="add"),
    path("attempts/<int:pk>/", views.attempt, name="attempt"),
    path("attempts/<int:pk>/again/", views.attempt_again, name="attempt_again"),
    path("<int:pk>/connection/", views.connection, name="connection"),
    path("<int:pk>/remove/", views.remove, name="remove"),
    path("<int:pk>/tags/", views.tags, name="tags"),
]
