from django.urls import path

from . import views

app_name = "secrets"
urlpatterns = [
    path("hosts/<int:pk>/secrets/", views.host_secrets, name="list"),
    path("hosts/<int:pk>/secrets/new/", views.secret_new, name="new"),
    path("hosts/<int:pk>/secrets/<int:secret_id>/value/", views.secret_value, name="value"),
    path("hosts/<int:pk>/secrets/<int:secret_id>/delete/", views.secret_delete, name="delete"),
    path("volumes/<int:pk>/passphrase/", views.volume_passphrase, name="passphrase"),
]
