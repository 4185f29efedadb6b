"""
A site in Flask whose sessions decide what comet's clients may do.

Start it beside comet::

    flask --app backend run --port 8000
    twistd -n comet --hook http://127.0.0.1:8000/comet --hook-headers Cookie
"""

import os

from flask import Flask, Response, abort, jsonify, request, session
from flask.sessions import SecureCookieSessionInterface
from tokens import tokenFor
from webhooks import verify

app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or os.urandom(32)

# The file that comet has made, or the one that --hook-secret names.
SECRETS = os.environ.get("COMET_HOOK_SECRET", "comet.hook")


@app.post("/comet")
def connect() -> Response:
    """
    Tell comet what a client may do, by the session in its cookie.
    """
    body = request.get_data()
    with open(SECRETS, encoding="ascii") as file:
        secrets = file.read().split()
    if not verify(request.headers, body, secrets):
        abort(401)
    cookie = request.get_json()["headers"].get("cookie", "")
    # The cookies are those of the browser, not of this request.
    with app.test_request_context(headers={"Cookie": cookie}) as asked:
        shown = SecureCookieSessionInterface().open_session(app, asked.request)
    user = None if shown is None else shown.get("user")
    if user is None:
        # Not logged in: what is open, and nothing more.
        return jsonify({})
    return jsonify(client=user, subscribe=["inbox/{sub}", "chat/*"], publish=["chat/*"], expires=60)


@app.get("/token")
def token() -> Response:
    """
    Give the page a token for its user, which C{--token-key} verifies.
    """
    if "user" not in session:
        abort(403)
    answer = jsonify(token=tokenFor(session["user"]))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@app.post("/login")
def login() -> str:
    """
    Log in; a real site asks for a password.
    """
    session["user"] = request.form["user"]
    return ""
