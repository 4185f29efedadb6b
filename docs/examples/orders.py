"""
A shop that shows its orders as they come: C{twistd -n comet --wsgi orders:app}.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from flask import Flask, Response, request

app = Flask(__name__)

PAGE = """<!doctype html>
<title>Orders</title>
<ul></ul>
<script type="module">
  import { Comet } from "/comet/comet.js";
  const list = document.querySelector("ul");
  new Comet("/comet/").subscribe("orders", ({ data }) => {
    list.append(Object.assign(document.createElement("li"), { textContent: data.item }));
  }, { since: "-10" });
</script>
"""


@app.get("/")
def index() -> str:
    """
    Show the orders.
    """
    return PAGE


@app.post("/orders")
def order() -> tuple[dict[str, str], int]:
    """
    Take an order, and tell all who look.
    """
    publish = request.environ["comet.publish"]
    return {"cursor": str(publish("orders", {"item": request.form["item"]}))}, 201


@app.get("/report")
def report() -> Response:
    """
    Send a report while it is made.
    """
    count = int(request.args["lines"])

    def lines() -> Iterator[str]:
        for number in range(count):
            yield json.dumps({"line": number}) + "\n"

    return Response(lines(), content_type="application/x-ndjson")
