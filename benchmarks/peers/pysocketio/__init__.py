"""
python-socketio on uvicorn, with the wire of Socket.IO.
"""

from __future__ import annotations

from typing import Final

from benchmarks.peers.python import pythonPeer
from benchmarks.peers.socketio import WIRES

# Its polls are so slow that a burst outlasts the time in which Engine.IO wants
# its pings answered, which the load generator does on WebSockets alone.
_WIRES: Final = {"websocket": WIRES["websocket"]}

PEER: Final = pythonPeer("pysocketio", ["python-socketio", "uvicorn"], _WIRES)
