"""
python-socketio on uvicorn, read as Socket.IO is.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.peers.socketio import READINGS

# Without long polling: it is so slow that a burst outlasts the time in which
# Engine.IO wants its pings answered, and the load generator answers pings on
# WebSockets only.
_READINGS: Final = {"websocket": READINGS["websocket"]}

PEER: Final = pythonPeer("pysocketio", ["python-socketio", "uvicorn"], _READINGS)
