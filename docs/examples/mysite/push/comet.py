"""
What the site asks comet to do.
"""

import json
import logging
from urllib.error import URLError
from urllib.request import Request, urlopen

from django.conf import settings

log = logging.getLogger(__name__)


def publish(channel, data):
    """
    Publish to a channel, with the key.
    """
    _post(f"/channels/{channel}", data)


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
    key = settings.COMET_KEY.read_text("ascii").split()[0]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = Request(settings.COMET_URL + path, json.dumps(body).encode(), headers)
    with urlopen(request, timeout=5) as answer:
        answer.read()
