"""
Tokens for the users of an application.
"""

import time
from pathlib import Path

import jwt


def tokenFor(user: str, secretFile: str = "token.secret") -> str:
    """
    Make a token for a user: an inbox of its own to read, and rooms.
    """
    claims = {
        "sub": user,
        # By this comet knows which tokens are revoked, and comet.js when to ask for the next.
        "iat": time.time(),
        "exp": time.time() + 600,
        "comet": {
            "subscribe": ["inbox/{sub}", "rooms/*"],
            "publish": ["rooms/*"],
            "info": {"name": user.title()},
        },
    }
    secret = Path(secretFile).read_text("utf-8").strip()
    return jwt.encode(claims, secret, algorithm="HS256")
