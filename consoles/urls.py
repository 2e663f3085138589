from django.urls import path

from . import views

app_name = "consoles"
urlpatterns = [
    path("<int:pk>/", views.console, name="console"),
    path("<int:pk>/guest/", views.guest_state, name="guest"),
    path("<int:pk>/ticket/", views.ticket, name="ticket"),
]
