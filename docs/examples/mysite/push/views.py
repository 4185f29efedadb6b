"""
The views: a page, what comet asks, and what a page asks for comet.
"""

import json
import time
from functools import partial

import jwt
from django.conf import settings
from django.contrib.auth.views import LogoutView
from django.db import transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_GET, require_POST
from webhooks import verify

from push import comet
from push.rights import rightsOf
from push.sessions import userOf


@csrf_exempt
@require_POST
def connect(request):
    """
    Tell comet what the browser may do that has these cookies.
    """
    secrets = settings.COMET_HOOK_SECRET.read_text("ascii").split()
    if not verify(request.headers, request.body, secrets):
        return HttpResponse(status=401)
    user = userOf(json.loads(request.body)["headers"].get("cookie", ""))
    if user is None:
        # Not logged in: what is open, and nothing more.
        return JsonResponse({})
    return JsonResponse({"client": str(user.pk), **rightsOf(user), "expires": 60})


@never_cache
@require_GET
def token(request):
    """
    Give the page a token for its user.
    """
    user = request.user
    if not user.is_authenticated:
        return HttpResponse(status=403)
    now = time.time()
    claims = {"sub": str(user.pk), "iat": now, "exp": now + 600, "comet": rightsOf(user)}
    secret = settings.COMET_TOKEN_SECRET.read_text("ascii").strip()
    return JsonResponse({"token": jwt.encode(claims, secret, algorithm="HS256")})


class Logout(LogoutView):
    """
    Log out, which ends what the user reads at once.
    """

    def post(self, request, *args, **kwargs):
        """
        Log out, and tell comet when the session is gone: a browser that came back before
        would be let in again.
        """
        user = request.user
        response = super().post(request, *args, **kwargs)
        if user.is_authenticated:
            transaction.on_commit(partial(comet.disconnect, user))
        return response


@require_POST
@transaction.atomic
def remind(request):
    """
    Remind a user of something: it comes to the user's inbox once it is committed.
    """
    user = request.user
    if not user.is_authenticated:
        return HttpResponse(status=403)
    reminder = {"text": request.POST["text"]}
    # Before, a page that is told of it could ask for what is not there yet.
    transaction.on_commit(partial(comet.publish, f"inbox/{user.pk}", reminder))
    return HttpResponse(status=202)


def index(request):
    """
    Show the page.
    """
    return render(request, "push/index.html")
