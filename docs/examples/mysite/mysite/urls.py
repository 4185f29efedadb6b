"""
The paths of the site.
"""

from django.contrib.auth.views import LoginView
from django.urls import path
from push.views import Logout, connect, index, remind, token

urlpatterns = [
    path("", index),
    path("accounts/login/", LoginView.as_view()),
    path("accounts/logout/", Logout.as_view()),
    path("remind/", remind),
    path("comet/connect", connect),
    path("comet/token", token),
]
