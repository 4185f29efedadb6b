"""
A shop in Flask that tells pages of its orders:
C{COMET_KEY=... gunicorn --workers 4 --threads 8 'shop:makeApplication()'}.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, Response, jsonify, request

from comet import CometError
from comet.client.blocking import Client, Timing


def makeClient() -> Client:
    """
    Make the client of one worker process, for all its threads.
    """
    return Client(
        os.environ.get("COMET_URL", "http://127.0.0.1:8080"),
        key=os.environ["COMET_KEY"],
        # A visitor does not wait for comet for longer than this.
        timing=Timing(timeout=2, patience=5),
    )


def makeApplication(client: Client | None = None) -> Flask:
    """
    Make the application of one worker process.
    """
    application = Flask(__name__)
    client = client or makeClient()

    @application.post("/orders")
    def order() -> tuple[Response, int]:
        placed = {"item": request.form["item"]}
        try:
            cursor = client.publish("orders", placed)
        except CometError as error:
            # The order is placed, and its page shows it when it is loaded again.
            application.logger.warning("comet has not confirmed an order: %s", error.detail)
            return jsonify(placed), 201
        return jsonify({**placed, "cursor": cursor}), 201

    return application


def nightly(client: Client, prices: dict[str, float]) -> list[str]:
    """
    Publish all prices, many with each request, as a task of Celery does.
    """
    changes: list[dict[str, Any]] = [
        {"channel": f"prices/{item}", "data": price, "event": "price"}
        for item, price in prices.items()
    ]
    return client.publishMany(changes)
