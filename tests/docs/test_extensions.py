"""
The extensions that make pages: the drawing of a reader's life, the lists of
options and commands, and the names outside of comet to which docstrings may link.  And the
pages whose facts the program has, too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
import zlib
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from comet.bus import idempotency
from comet.bus.memory.buslog import CHANNEL_OVERHEAD
from comet.command.program import program
from comet.fanout import polls, streams, unsent
from comet.fanout.states import TRANSITIONS, Input, State
from comet.framing import jsonp
from comet.framing.publications import Limits
from comet.http import pace, reads, request
from comet.http.negotiation import TRANSPORTS
from comet.model import channels
from comet.model.messages import MESSAGE_OVERHEAD
from comet.settings.options import OPTIONS
from comet.transports import commandflow, tcp, vanished, websocketmessages
from comet.web import heads
from tests.docs.running import DOCS, load
from tests.docs.shell import matches


def extension(name: str) -> ModuleType:
    """
    Load a module of C{docs/_ext}.
    """
    return load(DOCS / "_ext" / f"{name}.py")


class LifeTests(SynchronousTestCase):
    """
    The drawing of a reader's life.
    """

    def texts(self, svg: str) -> list[str]:
        """
        Return the texts in a drawing.
        """
        return [each.text or "" for each in ElementTree.fromstring(svg).iter("text")]

    def test_drawsEachStateAndTransition(self) -> None:
        """
        The drawing has each state once, and each transition as an arc or under its
        state.
        """
        life = extension("life")
        svg = life.draw()
        texts = self.texts(svg)
        for state in State:
            self.assertEqual(texts.count(state.value), 1, state)
        leading = life.arcs(TRANSITIONS)
        self.assertEqual(svg.count('class="arc"'), len(leading))
        staying = sum(map(len, life.stays(TRANSITIONS).values()))
        self.assertEqual(sum(1 for text in texts if text.startswith("(")), staying)
        self.assertEqual(sum(map(len, leading.values())) + staying, len(TRANSITIONS))

    def test_followsTheTable(self) -> None:
        """
        The drawing follows from the table of transitions.
        """
        table = {(State.BEHIND, Input.ENDED): State.OPENING}
        life = extension("life")
        self.assertEqual(life.describe(table), "behind, ended: opening")
        self.assertIn("ended", self.texts(life.draw(table)))
        self.assertNotIn("drained", life.draw(table))


class OptionsTests(SynchronousTestCase):
    """
    The list of options.
    """

    def test_describesEachOption(self) -> None:
        """
        The list says of every option what it does, and its default, once.
        """
        text = extension("optiontext")
        for option in OPTIONS:
            said = text.described(option)
            self.assertGreater(len(said), 20, option.name)
            self.assertNotIn("efault: ", said)
            self.assertRegex(text.facts(option), r"^Default: \S.*\.$")

    def test_saysDefaultsAndAllowedValues(self) -> None:
        """
        The default and the allowed values are those of the program.
        """
        text = extension("optiontext")
        facts = {option.name: text.facts(option) for option in OPTIONS}
        self.assertEqual(
            facts["heartbeat"],
            "Default: 25. Allowed: a number of seconds from 0.1 to 86400.",
        )
        self.assertEqual(facts["demo"], "Default: off.")
        self.assertEqual(facts["open"], "Default: none. May be given several times.")
        self.assertEqual(
            facts["max-connections"],
            "Default: 0. Allowed: a whole number from 0 to 16777216.",
        )


class CommandTests(SynchronousTestCase):
    """
    The list of commands.
    """

    def test_hasEachCommand(self) -> None:
        """
        Each command of the program is listed, with its words, its arguments and its options.
        """
        listed = extension("commandlist")
        found = {
            listed.usage(words, command): dict(listed.optionsOf(command))
            for words, command in listed.leaves(program)
        }
        self.assertIn("comet completion [OPTIONS] {bash|zsh|fish}", found)
        options = found["comet token read [OPTIONS] [TOKEN]"]
        self.assertEqual(options["--token-file FILE"], "The file of the token.")


class LimitsTests(SynchronousTestCase):
    """
    The page of limits.
    """

    def test_pageHasTheProgramsLimits(self) -> None:
        """
        The fixed limits on the page are those of the program.
        """
        page = " ".join((DOCS / "reference" / "limits.rst").read_text("utf-8").split())
        budget = idempotency.KeyBudget()
        overhead, channel = idempotency.KEY_OVERHEAD, idempotency.CHANNEL_OVERHEAD
        each, inAll = (size // (overhead + channel) // 1000 for size in (budget.each, budget.inAll))
        second = budget.each / idempotency.KEY_SECONDS / (overhead + channel) // 50 * 50
        for line in (
            f"bytes of a name {channels.MAX_NAME_BYTES} ",
            f"characters of an event's name {channels.MAX_EVENT_CHARACTERS} ",
            f"is known {idempotency.KEY_SECONDS / 60:g} minutes, within the budget of its ",
            f"keys of a publisher {budget.each >> 20} MiB: {each},000 keys to one channel each ",
            f"bytes of all idempotency keys {budget.inAll >> 20} MiB: {inAll},000 keys to one ",
            f"counts for {overhead} bytes, {channel} for each of its channels, ",
            f"is enough for {second:g} new keys a second ",
            f"bytes of a batch {Limits(maxMessage=1).maxBatchBytes} times ",
            f"{Limits(maxMessage=1).maxCommandBytes - 4096} times ``--max-message``, and 4,096 ",
            f"of one client under way {commandflow.MAX_PENDING_COMMANDS} ",
            f"frames of one WebSocket message {websocketmessages.SPARE_FRAMES:,} ",
            f"parameters of a query {request.MAX_PARAMETERS} ",
            f"have {unsent.UNSENT_BYTES >> 20} MiB in all; beyond them a response has one ",
            f"not taken message, or {unsent.CUT_BYTES:,} bytes of data, and",
            f"seconds in which a head has to be whole {pace.HEAD_TIME:g} from its first byte",
            f"seconds that a body may be late {pace.BODY_TIME:g}, or",
            f"to come at {pace.LEAST_RATE:,.0f} bytes a second",
            f"seconds a refused upload is read on {heads.LINGER_TIME:g} ",
            f"poll body {reads.MAX_LIMIT:,}, and {unsent.POLL_BYTES // 1048576} MiB ",
            f"seconds that a poll is held {reads.MAX_WAIT:g} ",
            f"seconds that a half-closed poll is held {polls.HALF_CLOSED:g} ",
            f"with ``wait=0`` waits for {polls.BUS_SECONDS:g}, then ",
            f"characters of a callback {jsonp.MAX_CALLBACK} ",
            f"seconds to the first line on raw TCP {tcp.FIRST_LINE:g} ",
            f"a reader may take nothing {streams.STALLED:g}, ",
            f"may acknowledge {vanished.UNACKNOWLEDGED:g}, then",
            f"is asked after {vanished.ASKED_AFTER:g} seconds and has to answer within "
            f"{vanished.ANSWERED_WITHIN:g}.",
            f"may wait to be taken {streams.LAST_WORDS:g} ",
            f"counts {MESSAGE_OVERHEAD} bytes for each message and {CHANNEL_OVERHEAD} for",
        ):
            self.assertIn(line, page)


class TransportsTests(SynchronousTestCase):
    """
    The pages of the transports.
    """

    def test_pagesHaveTheProgramsTransports(self) -> None:
        """
        The table of transports has those of the program and raw TCP, and the
        media types that ask for one are on the page about reading.
        """
        table = (DOCS / "reference" / "transports.rst").read_text("utf-8").split("=\n")[2]
        listed = [line.split("``")[1] for line in table.splitlines() if line.startswith("``")]
        self.assertEqual(sorted(listed), sorted(TRANSPORTS))
        reading = " ".join((DOCS / "reference" / "reading.rst").read_text("utf-8").split())
        for transport in TRANSPORTS.values():
            if transport.mediaTypes:
                types = " and ".join(f"``{mediaType}``" for mediaType in transport.mediaTypes)
                self.assertIn(f"{types} (``{transport.name}``)", reading)


class OutsideTests(SynchronousTestCase):
    """
    The inventories of names outside of comet.
    """

    def test_inventoryHasPlaceOfEachName(self) -> None:
        """
        An inventory has a head and compressed lines, with a URL for each name.
        """
        outside = extension("outside")
        raw = outside.inventory("Python", outside.pythonNames())
        head, lines = raw.split(b"using zlib.\n")
        self.assertTrue(head.startswith(b"# Sphinx inventory version 2\n# Project: Python\n"))
        names = zlib.decompress(lines).decode().splitlines()
        self.assertIn("None py:obj 1 library/constants.html#None -", names)
        self.assertIn("ValueError py:obj 1 library/exceptions.html#ValueError -", names)

    def test_hasWhatIsImportedFromTwisted(self) -> None:
        """
        The inventory has what comet imports from Twisted, with its methods.
        """
        found = dict(extension("outside").twistedNames())
        interface = "twisted.internet.interfaces.IProtocol"
        self.assertEqual(found[interface], f"{interface}.html")
        self.assertEqual(found[f"{interface}.dataReceived"], f"{interface}.html#dataReceived")


class MatchingTests(SynchronousTestCase):
    """
    How the output of a command is compared with its page.
    """

    def test_matches(self) -> None:
        """
        Dots match anything, the epoch of the book matches any epoch, and all else
        matches only itself.
        """
        self.assertTrue(matches('{"cursor":"k3f9a2-1"}', '{"cursor":"abcdef-1"}\n'))
        self.assertTrue(matches("a\n...\nd", "a\nb\nc\nd"))
        self.assertFalse(matches('{"cursor":"k3f9a2-1"}', '{"cursor":"abcdef-2"}'))
        self.assertFalse(matches("", "something"))
        self.assertFalse(matches("a.c", "abc"))
