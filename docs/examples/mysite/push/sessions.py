"""
Whose a session is.
"""

from importlib import import_module

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.http import parse_cookie
from django.utils.crypto import constant_time_compare


def userOf(cookies):
    """
    Find the user that has logged in with a session, as Django's middleware does.  Nothing
    is changed by that.

    @param cookies: The header C{Cookie} of the browser.

    @return: The user, or C{None}.
    """
    key = parse_cookie(cookies).get(settings.SESSION_COOKIE_NAME)
    session = import_module(settings.SESSION_ENGINE).SessionStore(key)
    if not key or SESSION_KEY not in session:
        return None
    user = get_user_model().objects.filter(pk=session[SESSION_KEY], is_active=True).first()
    if user is None:
        return None
    # Another one after a change of the password.
    known = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(known, each) for each in hashes) else None
