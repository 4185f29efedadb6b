"""
What the site asks comet to do.
"""

import json
import logging
from functools import cache
from urllib.error import URLError
from urllib.request import Request, urlopen

from django.conf import settings

from comet import CometError
from comet.client.blocking import Client, Timing

log = logging.getLogger(__name__)


def publish(channel, data):
    """
    Publish to a channel, and return the cursor; or None, if comet has not confirmed it.
    """
    try:
        return _client().publish(channel, data)
    except CometError as error:
        log.warning("comet has not confirmed a message to %s: %s", channel, error.detail)
        return None


@cache
def _client():
    """
    Make the client of this worker process of gunicorn, which all its threads use.
    """
    # A visitor does not wait for comet for longer than this.
    return Client(settings.COMET_URL, key=_key(), timing=Timing(timeout=2, patience=5))


def _key():
    return settings.COMET_KEY.read_text("ascii").split()[0]


def disconnect(user):
    """
    Have comet end the connections of a user, who may come back.  If comet cannot be
    reached, they end when comet asks again.
    """
    try:
        _post("/admin/disconnect", {"client": str(user.pk)})
    except (URLError, TimeoutError):
        log.exception("comet did not end the connections of user %s", user.pk)


def _post(path, body):
    headers = {"Authorization": f"Bearer {_key()}", "Content-Type": "application/json"}
    request = Request(settings.COMET_URL + path, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=5) as answer:
        answer.read()
