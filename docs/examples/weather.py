"""
A site in Starlette that publishes, and follows what others publish:
C{COMET_KEY=... uvicorn weather:application}.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from comet.client.asyncio import Client, Message


@asynccontextmanager
async def lifespan(application: Starlette) -> AsyncIterator[dict[str, Any]]:
    """
    Keep one client, and follow the stations, while the site runs.
    """
    url = os.environ.get("COMET_URL", "http://127.0.0.1:8080")
    latest: dict[str, Any] = {}
    async with Client(url, key=os.environ["COMET_KEY"]) as client:
        following = asyncio.create_task(follow(client, latest))
        yield {"client": client, "latest": latest}
        following.cancel()


async def follow(client: Client, latest: dict[str, Any]) -> None:
    """
    Keep the newest report of each station.
    """
    async for item in client.subscribe("weather/*", since="-1"):
        if isinstance(item, Message):
            latest[item.channel] = item.data


async def report(request: Request) -> Response:
    """
    Publish a report.
    """
    channel = f"weather/{request.path_params['station']}"
    cursor = await request.state.client.publish(channel, await request.json())
    return JSONResponse({"cursor": cursor}, 201)


async def stations(request: Request) -> Response:
    """
    Show the newest reports.
    """
    return JSONResponse(request.state.latest)


application = Starlette(
    routes=[
        Route("/weather/{station}", report, methods=["POST"]),
        Route("/weather", stations),
    ],
    lifespan=lifespan,
)
