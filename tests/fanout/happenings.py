"""
What can happen to readers, for the tests of the promise.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from comet.model.positions import Earliest
from tests.fanout.players import Application, add, remove

CHANNELS = ("a", "b", "c/x", "c/y")
NAMES = (*CHANNELS, "c/*", "*", "**", "c/**", "d")

PICK = st.integers(0, 15)
CHANNEL = st.sampled_from(CHANNELS)
SOME_NAMES = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)
# What many clients read at once: few sets of names, so that they meet.
ALIKE = st.sampled_from((["a"], ["a"], ["a", "c/x"], ["c/*"], ["*", "c/x"], ["**"]))
# What goes by over a slow bus, one after the other.
STEPS = st.lists(
    st.sampled_from(
        ("turn", "hear", "answer 0") * 2
        + ("answer 1", "answer -1", "do 0", "do -1", "publish a", "publish c/x")
    ),
    min_size=2,
    max_size=16,
)
BIG = b'"' + b"x" * 60000 + b'"'

# A beginning: its kind, and a number that makes it particular.
PLACE = st.tuples(
    st.sampled_from(["now", "earliest", "last", "at", "at", "at", "lost", "unreadable", "beyond"]),
    st.integers(0, 12),
)


def publishing(channel: str) -> Callable[[Application], None]:
    """
    Publish from within a receiver.
    """
    return lambda player: player.world.publish([[channel]])


def blink(player: Application) -> None:
    """
    Pause, and go on at once.
    """
    player.subscription.pauseProducing()
    player.subscription.resumeProducing()


def adding(name: str) -> Callable[[Application], None]:
    """
    Read one more name, from the beginning.
    """

    def act(player: Application) -> None:
        if player.mayAdd:
            add(player, {name: Earliest()})

    return act


def removing(name: str) -> Callable[[Application], None]:
    """
    Read one name less.
    """

    def act(player: Application) -> None:
        if player.mayAdd:
            remove(player, [name])

    return act


ACTION: st.SearchStrategy[Callable[[Application], None]] = st.one_of(
    st.just(lambda player: None),
    CHANNEL.map(publishing),
    st.just(blink),
    st.just(lambda player: player.subscription.pauseProducing()),
    st.sampled_from(NAMES).map(adding),
    st.sampled_from(NAMES).map(removing),
    st.just(lambda player: player.leave()),
)
