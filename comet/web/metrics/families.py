"""
The figures of a hub, under the names that a monitoring system knows them by.

They are taken from counts that are there anyway, when they are asked for.  What a
scrape costs does not grow with the number of channels; each reader adds some tens of
nanoseconds, and no call.  To these L{comet.web.metrics.processfigures} adds figures of the
process, for which its open files are counted: one or two microseconds each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import Factory, define

from comet.fanout.counting import countReaders
from comet.hub.hub import REASONS, Hub
from comet.metrics.tally import Histogram
from comet.model.held import Held

Labels = Mapping[str, str]


@define
class Family:
    """
    All figures of one name.

    @ivar name: The name; that of a counter without C{_total}.

    @ivar kind: C{counter}, C{gauge}, or C{histogram}.

    @ivar text: What it tells, in one sentence.

    @ivar values: Each with its labels.
    """

    name: str
    kind: str
    text: str
    values: list[tuple[Labels, float | Histogram]] = Factory(list)

    def add(self, value: float | Histogram, **labels: str) -> Family:
        """
        Add a figure.

        @return: The family.
        """
        self.values.append((labels, value))
        return self


# The parts of L{Traffic<comet.metrics.traffic.Traffic>} that are bytes: labels of each.
_BYTES: Final = {
    "headIn": {"direction": "in", "part": "head"},
    "dataIn": {"direction": "in", "part": "data"},
    "headOut": {"direction": "out", "part": "head"},
    "dataOut": {"direction": "out", "part": "data"},
}


def families(hub: Hub) -> Iterator[Family]:
    """
    Yield all figures of a hub.  L{heldFamilies} has those of what its bus holds.
    """
    for part in (
        *(_ofNode, _ofTransports, _ofReaders, _ofMessages, _ofCompression),
        *(_ofBus, _ofHooks, _ofPresence),
    ):
        yield from part(hub)


def _ofNode(hub: Hub) -> Iterator[Family]:
    why = hub.whyNotReady
    ready = Family("comet_ready", "gauge", "Whether the server takes clients.")
    yield ready.add(not why)
    reasons = Family(
        "comet_not_ready", "gauge", "Whether the server takes no clients, and why not."
    )
    for reason in REASONS:
        reasons.add(reason == why, reason=reason)
    yield reasons
    lateness = Family(
        "comet_reactor_lateness_seconds",
        "histogram",
        "How much later than asked for the reactor has called.",
    )
    yield lateness.add(hub.tally.lateness)
    full = Family(
        "comet_no_room", "counter", "Clients that were refused since there was no room for them."
    )
    yield full.add(hub.refusals.total)
    bodies = Family("comet_body_bytes", "gauge", "Bytes of bodies that are on their way.")
    yield bodies.add(hub.uploads.kept)
    unsent = Family(
        "comet_unsent_bytes", "gauge", "Bytes of responses that wait for their clients."
    )
    yield unsent.add(hub.fanout.unsent.kept)


def _ofTransports(hub: Hub) -> Iterator[Family]:
    connections = Family(
        "comet_connections",
        "gauge",
        "Streams and two-way connections that are open, by transport; no polls.",
    )
    requests = Family(
        "comet_requests", "counter", "HTTP requests, or connections of raw TCP, by transport."
    )
    size = Family(
        "comet_bytes", "counter", "Bytes that were received and sent, without TCP, IP and TLS."
    )
    for transport, counts in hub.metrics.sums().items():
        connections.add(counts["open"], transport=transport)
        requests.add(counts["requests"], transport=transport)
        for name, labels in _BYTES.items():
            size.add(counts[name], transport=transport, **labels)
    yield from (connections, requests, size)


def _ofReaders(hub: Hub) -> Iterator[Family]:
    readers = Family("comet_readers", "gauge", "Readers by kind, and by what they do.")
    for (kind, state), count in countReaders(hub.fanout.readers).items():
        readers.add(count, kind=kind, state=state)
    yield readers
    tally = hub.tally
    closed = Family("comet_readers_closed", "counter", "Readers that the server has closed.")
    for code, count in sorted(tally.closed.items()):
        closed.add(count, code=code)
    yield closed
    gaps = Family(
        "comet_gaps", "counter", "How many times a reader was told that it has lost messages."
    )
    yield gaps.add(tally.gaps)


def _ofMessages(hub: Hub) -> Iterator[Family]:
    tally = hub.tally
    published = Family(
        "comet_messages_published",
        "counter",
        "Messages of clients that were stored; none of the server's own.",
    )
    yield published.add(tally.published)
    delivered = Family(
        "comet_messages_delivered",
        "counter",
        "Messages that were given to readers: one for ten readers counts ten times.",
    )
    yield delivered.add(tally.delivered)
    refused = Family(
        "comet_refused", "counter", "Requests and commands that were refused, by code."
    )
    for code, count in sorted(tally.refused.items()):
        refused.add(count, code=code)
    yield refused
    publishing = Family(
        "comet_publish_seconds",
        "histogram",
        "How long it takes from a request to publish to its answer.",
    )
    yield publishing.add(tally.publishing)
    written = Family(
        "comet_written_seconds",
        "histogram",
        "How long it takes from storing a message to writing it to the readers of this server.",
    )
    yield written.add(tally.written)


def _ofCompression(hub: Hub) -> Iterator[Family]:
    budget = hub.fanout.encodings.budget
    tried = Family(
        "comet_compressions",
        "counter",
        "Messages that were to be compressed, once for each wire format in use, by outcome.",
    )
    tried.add(budget.compressed, outcome="shorter").add(budget.longer, outcome="longer")
    yield tried.add(budget.unaffordable, outcome="budget")
    size = Family(
        "comet_compressed_bytes", "counter", "Bytes of compressed messages, before and after."
    )
    yield size.add(budget.before, side="before").add(budget.after, side="after")


def _ofBus(hub: Hub) -> Iterator[Family]:
    tally = hub.tally
    available = Family("comet_bus_available", "gauge", "Whether the bus can be used.")
    yield available.add(hub.bus.isAvailable)
    took = Family(
        "comet_bus_seconds",
        "histogram",
        "How long the bus takes to answer; what it answers at once is not counted.",
    )
    yield took.add(tally.stored, operation="store").add(tally.queried, operation="query")
    interruptions = Family(
        "comet_bus_interruptions",
        "counter",
        "How many times the bus has said that messages may have been missed.",
    )
    yield interruptions.add(tally.interruptions)
    waiting = Family(
        "comet_bus_waiting", "gauge", "Requests to publish that wait for the bus to have room."
    )
    yield waiting.add(hub.bursts.waiting)
    revoked = Family("comet_revocations", "gauge", "What is revoked, as far as this server knows.")
    yield revoked.add(len(hub.control.revocations))


def heldFamilies(held: Held) -> Iterator[Family]:
    """
    Yield the figures of what a bus holds.  All servers of one bus have the same.
    """
    yield Family("comet_log_bytes", "gauge", "Bytes that the bus holds.").add(held.bytes)
    channels = Family("comet_log_channels", "gauge", "Channels of which the bus holds messages.")
    yield channels.add(held.channels)
    if held.messages is not None:
        yield Family("comet_log_messages", "gauge", "Messages that the bus holds.").add(
            held.messages
        )


def _ofHooks(hub: Hub) -> Iterator[Family]:
    asked = Family("comet_hooks", "counter", "Questions to the backend, by type and outcome.")
    took = Family(
        "comet_hook_seconds",
        "counter",
        "For how long questions waited, in all; those not that were answered at once.",
    )
    pending = Family("comet_hook_queue", "gauge", "Questions that are not answered yet.")
    for kind, counts in hub.hookCounts.of.items():
        for outcome in ("answered", "refused", "failed", "cancelled"):
            asked.add(getattr(counts, outcome), type=kind, outcome=outcome)
        took.add(counts.seconds, type=kind)
        pending.add(counts.underWay, type=kind, state="asked")
        pending.add(counts.waiting, type=kind, state="waiting")
    yield from (asked, took, pending)
    waiting = Family(
        "comet_hook_messages_waiting",
        "gauge",
        "Messages that wait for what the backend says of them.",
    )
    yield waiting.add(0 if hub.publishHook is None else hub.publishHook.places.waiting)
    events = hub.events
    told: Mapping[str, float] = {} if events is None else events.counts
    for name, count in told.items():
        if name in _EVENTS:
            kind, text = _EVENTS[name]
            yield Family(f"comet_events_{_NAMES.get(name, name)}", kind, text).add(count)


# What L{EventTeller.counts<comet.events.teller.EventTeller.counts>} tells.
_EVENTS: Final = {
    "delivered": ("counter", "Events that the backend has taken."),
    "repeated": ("counter", "Requests with events that had to be sent again."),
    "waiting": ("gauge", "Events of the request that the backend has not taken yet."),
    "late": ("gauge", "For how many seconds the oldest event waits that is sent."),
    "gaps": ("counter", "How many times events were lost to the backend."),
    "closing": ("gauge", "Closed readers that are not told of yet."),
    "dropped": ("counter", "Closed readers that will never be told of."),
}
_NAMES: Final = {"late": "late_seconds"}


def _ofPresence(hub: Hub) -> Iterator[Family]:
    members = Family(
        "comet_presence_members",
        "gauge",
        "Clients in channels of which presence is kept, by readers of this server.",
    )
    yield members.add(0 if hub.attendance is None else hub.attendance.members)
