from django.urls import path

from guests.strays.views import stray_files

from . import views

app_name = "host_care"
urlpatterns = [
    path("<int:pk>/maintenance/", views.enter_maintenance, name="maintenance"),
    path("<int:pk>/maintenance/leave/", views.leave_maintenance, name="leave_maintenance"),
    path("<int:pk>/leftovers/", views.leftovers, name="leftovers"),
    path("<int:pk>/stray-files/", stray_files, name="stray_files"),
    path("<int:pk>/start-order/", views.start_order, name="start_order"),
    path("<int:pk>/power/<slug:verb>/", views.power, name="power"),
]
