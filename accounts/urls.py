from django.urls import path

from . import views

app_name = "accounts"
urlpatterns = [
    path("settings/me/", views.me, name="me"),
    path("settings/theme/", views.theme, name="theme"),
    path("settings/tokens/", views.tokens, name="tokens"),
    path("settings/tokens/<int:pk>/revoke/", views.token_revoke, name="token_revoke"),
    path("settings/users/", views.users, name="users"),
    path("settings/users/<int:pk>/", views.user_change, name="user_change"),
    path("audit/", views.audit_log, name="audit"),
]
