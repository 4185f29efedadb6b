"""
Tests of L{comet.framing.commands}.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from comet.errors import (
    BadChannel,
    BadCursor,
    BadMessage,
    BadRequest,
    CometError,
    Internal,
    TooLarge,
    Unavailable,
)
from comet.framing import commands, strictjson
from comet.framing.commands import (
    Call,
    Command,
    CommandError,
    Id,
    Ping,
    Publish,
    Subscribe,
    Token,
    Unsubscribe,
    encodeError,
    encodeOK,
    encodePong,
    encodeStored,
    readCommand,
)
from comet.framing.publications import Limits
from comet.model.cursors import Cursor
from comet.model.messages import Publication, Published
from comet.model.positions import At, Earliest, Last, Now, StartPosition, StartPositions
from tests.framing.test_publications import characters, nested, values

LIMITS = Limits()
SMALL = Limits(maxMessage=10, maxDepth=2, maxBatch=3, maxChannels=2)

ids = st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(characters, max_size=128)
names = st.lists(
    st.sampled_from(["a", "news", "chat/a", "chat/*", "**", "$stats", "é"]),
    min_size=1,
    unique=True,
)
beginnings: st.SearchStrategy[StartPosition] = (
    st.builds(Now)
    | st.builds(Earliest)
    | st.builds(Last, st.integers(1, 10**9 - 1))
    | st.builds(
        At,
        st.builds(
            Cursor, st.from_regex(r"[a-z0-9]{6}", fullmatch=True), st.integers(0, 10**19 - 1)
        ),
    )
)


def spell(beginning: StartPosition) -> str:
    """
    Write a start position as a client does.
    """
    if isinstance(beginning, At):
        return str(beginning.cursor)
    if isinstance(beginning, Last):
        return f"-{beginning.count}"
    return "earliest" if isinstance(beginning, Earliest) else "now"


def read(fields: Any, limits: Limits = LIMITS) -> Command:
    """
    Read a command from the values of its JSON.
    """
    return readCommand(json.dumps(fields).encode(), limits, "me")


class ReadTests(SynchronousTestCase):
    """
    L{readCommand}, for every command.
    """

    def refuse(self, raw: bytes, kind: type[CometError], limits: Limits = LIMITS) -> CommandError:
        """
        Assert that a command is refused.
        """
        refused: CommandError = self.assertRaises(CommandError, readCommand, raw, limits)
        self.assertIs(type(refused.error), kind)
        self.assertEqual(str(refused), refused.error.detail)
        return refused

    def test_refusesOtherThanObject(self) -> None:
        """
        A text that is not a JSON object is a bad message, and the error has no
        id.
        """
        for raw in (b"", b"{", b"[]", b'"ping"', b"null", b"\xff", b'{"ping":1e400}', b"{} {}"):
            self.assertIsNone(self.refuse(raw, BadMessage).id)

    def test_boundsBareBytes(self) -> None:
        """
        A command has few more bytes outside of its strings than a message may have.  White
        space is free, and strings have room for escapes.
        """
        most = LIMITS.maxBareBytes
        around = len(b'{"":"","":[1]}')
        fits = b'{"call":"a","data":[%b1]}' % (b"1," * ((most - around) // 2))
        self.assertIsInstance(readCommand(fits, LIMITS), Call)
        spaced = fits.replace(b"1,", b"1 , ")
        self.assertIsInstance(readCommand(spaced, LIMITS), Call)
        refused = self.refuse(fits.replace(b"1,", b"1,1,", 1), TooLarge)
        self.assertIn("outside of strings", refused.error.detail)
        self.assertIsNone(refused.id)
        text = b'{"publish":"a","data":"%b"}' % (b"\\u002c" * LIMITS.maxMessage)
        publish = readCommand(text, LIMITS)
        assert isinstance(publish, Publish)
        self.assertEqual(publish.publication.data, "," * LIMITS.maxMessage)

    def test_allNamesFit(self) -> None:
        """
        The longest names with a start position each are not too many bytes.
        """
        limits = Limits(maxMessage=256)
        names = [f"{number:03}{'n' * 252}" for number in range(limits.maxChannels)]
        since = dict.fromkeys(names, "k3f9a2-9007199254740991")
        raw = json.dumps({"id": 2**63, "subscribe": names, "since": since}, indent=2).encode()
        self.assertIsInstance(readCommand(raw, limits), Subscribe)

    def test_refusesRepeatedMembers(self) -> None:
        """
        A command that has a member twice is refused, however the member is written, and
        told under its id.  What is in the data is the publisher's affair.
        """
        for raw in (
            b'{"id":1,"publish":"a","data":1,"publish":"b"}',
            b'{"id":1,"publish":"a","data":1,"\\u0070ublish":"b"}',
            b'{"id":1,"publish":"a","data":{"x":":"},"data":{"x":1}}',
            b'{"id":1,"publish":"a","data":"\\u003a\\u003a","data":2}',
            b'{"id":1,"publish":"a:b","data":[{},{"x":{}}],"event":"a","event":"b"}',
            b'{"id":1,"id":1,"ping":1}',
            b'{"id":1,"subscribe":["a"],"since":{"a":"now","a":"earliest"}}',
        ):
            refused = self.refuse(raw, BadRequest)
            self.assertEqual(refused.id, 1)
            self.assertIn("twice", refused.error.detail)
        self.assertIsNone(self.refuse(b'{"id":[],"ping":1,"ping":2}', BadRequest).id)
        for raw in (
            b'{"publish":"a","data":{"publish":1,"publish":2}}',
            b'{"publish":"a:b","data":{"publish":"a:b","data":"\\u003a"}}',
            b'{"publish":"a","data":"\\"publish\\":1,\\\\"}',
        ):
            self.assertIsInstance(readCommand(raw, LIMITS), Publish)

    def test_boundsPing(self) -> None:
        """
        A ping has as many bytes as a message.
        """
        most = LIMITS.maxMessage
        self.assertEqual(read({"ping": "<" * most}).id, None)
        for large in ("<" * (most + 1), ["<" * (most - 3)]):
            self.refuse(json.dumps({"ping": large}).encode(), TooLarge)

    def test_repeatsNoToken(self) -> None:
        """
        The error for what is not JSON repeats its beginning, but where a token may be in
        it; the position is told all the same.
        """
        self.assertIn("nonsense", self.refuse(b"nonsense", BadMessage).error.detail)
        for raw in (
            *(b'{"token":"S3CRET",}', b'{"TOKEN":"S3CRET"', b'S3CRET {"token":1}'),
            *(b'{"token":"S3CRET\xff"}', b'\xef\xbb\xbf{"token":"S3CRET"}'),
            b'{"token":"S3CRET is not JSON: S3CRET",}',
        ):
            detail = self.refuse(raw, BadMessage).error.detail
            self.assertNotIn("S3CRET", detail)
            self.assertTrue(detail.startswith("the command is not JSON"), detail)
        detail = self.refuse(b'{"token":"S3CRET",}', BadMessage).error.detail
        self.assertIn("at character", detail)

    def test_needsOneCommand(self) -> None:
        """
        An object with no, several or an unknown command is a bad request, and
        the detail names the known ones.
        """
        for raw in (
            b'{"id":1}',
            b'{"id":1,"history":"a"}',
            b'{"id":1,"Ping":1}',
            b'{"id":1,"ping":1,"subscribe":["a"]}',
        ):
            refused = self.refuse(raw, BadRequest)
            self.assertEqual(refused.id, 1)
            self.assertIn(
                "subscribe, unsubscribe, publish, presence, leave, ping, token, call",
                refused.error.detail,
            )

    def test_readsID(self) -> None:
        """
        An id is a short string or an integer of 64 bits, and may be absent.
        """
        self.assertEqual(read({"ping": 1}), Ping(None, b"1"))
        for id in ("", "a", "i" * 128, "é" * 128, 0, -1, -(2**63), 2**64 - 1):
            self.assertEqual(read({"id": id, "ping": 1}), Ping(id, b"1"))

    def test_readsToken(self) -> None:
        """
        A token is a string that is not empty, and no description shows it.
        """
        command = read({"id": 5, "token": "sesame"})
        self.assertEqual(command, Token(5, "sesame"))
        self.assertNotIn("sesame", repr(command))
        for bad in ("", None, 1, ["sesame"]):
            refused = self.refuse(json.dumps({"token": bad}).encode(), BadRequest)
            self.assertNotIn("sesame", refused.error.detail)

    def test_refusesBadID(self) -> None:
        """
        Any other id is a bad request, and the error does not repeat it.
        """
        for raw in (b"null", b"true", b"1.0", b"[]", b"{}", b'"%s"' % (b"i" * 129)):
            refused = self.refuse(b'{"ping":1,"id":' + raw + b"}", BadRequest)
            self.assertIsNone(refused.id)

    def test_errorHasID(self) -> None:
        """
        The error of a command has the id of the command.
        """
        for id in ("a", 7):
            for fields in ({"subscribe": 1}, {"unsubscribe": 1}, {"publish": "*", "data": 1}, {}):
                raw = json.dumps({"id": id, **fields}).encode()
                refused = self.assertRaises(CommandError, readCommand, raw, LIMITS)
                self.assertEqual(refused.id, id)

    def test_boundsDepth(self) -> None:
        """
        A command has at most two levels more than the data of a message.
        """
        self.assertEqual(read({"ping": nested(65)}), Ping(None, json.dumps(nested(65)).encode()))
        self.refuse(json.dumps({"ping": nested(66)}).encode(), BadMessage)

    @settings(deadline=None)
    @given(
        st.binary(max_size=100)
        | values.map(lambda value: json.dumps(value).encode())
        | st.dictionaries(
            st.sampled_from(
                "id subscribe since unsubscribe publish data event key encoding ping token".split()
            ),
            values | names | st.just({"a": "-1"}) | st.sampled_from(["a", "now", "base64"]),
        ).map(lambda fields: json.dumps(fields).encode())
    )
    def test_readsOrRefusesAnyBytes(self, raw: bytes) -> None:
        """
        Any bytes are a command or an error, whose answer is JSON on one line.
        """
        try:
            command = readCommand(raw, SMALL)
        except CommandError as refused:
            self.assertEqual(refused.error.status // 100, 4)
            answer = encodeError(refused.id, refused.error)
            self.assertNotIn(b"\n", answer)
            self.assertEqual(json.loads(answer)["error"]["code"], refused.error.code)
        else:
            self.assertEqual(command.id, json.loads(raw).get("id"))


# What may stand, or not, where a command to publish has its id, its channel and its data.
ODD_IDS = ["01", "1.5", "-0", "1e2", '"a"', "null", "9" * 30]
ODD_CHANNELS = ["news", "chat/a b", "chat/*", "$a", "a,b", "\\u0061", "é", "a" * 300, ""]
ODD_DATA = [
    *('"<"', '"a', "a", '"', "", '"a"b"', '"\\u0061"', '"\\ud800"', '"\x01"', "[[[1]]]"),
    *('1,"event":"e"', '1,"id":2', '{"a":1,"a":2}', '{"a":1},"b":{"c":2}', '"x" ', "\ufeff1"),
    *("1e400", '"123456789"', '"1234567890"', '"12345678901"', '"éééééé"', "<<<", '"<<<<<<<<<"'),
]


class UsualTests(SynchronousTestCase):
    """
    Commands to publish that are written in the usual way.
    """

    @settings(deadline=None)
    @given(
        st.integers(-3, 10**18) | st.sampled_from(ODD_IDS),
        st.sampled_from(ODD_CHANNELS),
        values.map(json.dumps)
        | values.map(partial(json.dumps, ensure_ascii=False))
        | st.sampled_from(ODD_DATA),
        st.sampled_from(["", " ", "  "]),
    )
    def test_readAlike(self, id: object, channel: str, data: str, space: str) -> None:
        """
        They are read, or refused, as the same command whose members have another order.
        """
        members = [f'"id":{space}{id}', f'"publish":{space}"{channel}"', f'"data":{space}{data}']
        usual, other = (
            f"{{{f',{space}'.join(each)}}}".encode()
            for each in (members, [members[1], members[0], members[2]])
        )
        for limits in (LIMITS, Limits(maxMessage=48), Limits(maxMessage=200, maxDepth=2), SMALL):
            self.assertEqual(_outcome(usual, limits), _outcome(other, limits))

    def test_withoutFields(self) -> None:
        """
        Its data are all that is decoded, and a plain text is not.
        """
        decoded: list[bytes] = []

        def decode(raw: bytes, maxDepth: int) -> Any:
            decoded.append(raw)
            return strictjson.decode(raw, maxDepth)

        self.patch(commands, "decode", decode)
        self.patch(commands, "readFields", self.fail)
        for data in (b'"hello"', b'{"a":1}', b'"\\n"'):
            command = readCommand(b'{"id":7,"publish":"news","data":%b}' % data, LIMITS, "ann")
            publication = Publication(("news",), data, publisher="ann")
            self.assertEqual(command, Publish(7, publication))
        self.assertEqual(decoded, [b'{"a":1}', b'"\\n"'])


def _outcome(raw: bytes, limits: Limits) -> object:
    """
    Return the command, or what its client is told.
    """
    try:
        return readCommand(raw, limits, "ann")
    except CommandError as refused:
        # Where JSON is broken depends on the order.
        isBroken = refused.id is None and " not JSON" in refused.error.detail
        return type(refused.error), refused.id, isBroken or refused.error.detail


class SubscribeTests(SynchronousTestCase):
    """
    C{subscribe} and C{unsubscribe}.
    """

    def refuse(self, fields: dict[str, Any], kind: type[CometError]) -> str:
        """
        Assert that a command is refused.

        @return: The error.
        """
        refused: CommandError = self.assertRaises(CommandError, read, fields, SMALL)
        self.assertIs(type(refused.error), kind)
        return refused.error.detail

    def test_readsNames(self) -> None:
        """
        Names keep their order and may be patterns.  A name that is there twice
        is read once.
        """
        listed = ["news", "chat/*", "news", "$stats", "**"]
        expected = ("news", "chat/*", "$stats", "**")
        self.assertEqual(read({"unsubscribe": ["a"] * 101}), Unsubscribe(None, ("a",)))
        self.assertEqual(read({"subscribe": listed}), Subscribe(None, expected, StartPositions()))
        self.assertEqual(read({"unsubscribe": listed}), Unsubscribe(None, expected))

    def test_refusesBadNames(self) -> None:
        """
        Anything but a list of valid names, not empty and not too long, is
        refused.
        """
        for command in ("subscribe", "unsubscribe"):
            for bad in ("news", None, {"a": 1}, 5, [], ["a", "b", "c"]):
                self.refuse({command: bad}, BadRequest)
            for name in (5, None, ["a"], "", "a//b", "**/a", "a,b"):
                self.refuse({command: ["a", name]}, BadChannel)

    def test_readsOneStart(self) -> None:
        """
        A text as C{since} is the start position of all names.
        """
        for text, expected in (
            ("now", Now()),
            ("", Now()),
            ("earliest", Earliest()),
            ("-3", Last(3)),
            ("abc-7", At(Cursor("abc", 7))),
        ):
            command = read({"subscribe": ["a", "b"], "since": text})
            self.assertEqual(command, Subscribe(None, ("a", "b"), StartPositions(expected)))

    def test_readsStartOfEachName(self) -> None:
        """
        An object as C{since} has the start positions of single names.  The
        other names start now, and the values of names that are not subscribed
        to are ignored.
        """
        since = {"b/*": "abc-7", "c": 5, "d": "?"}
        command = read({"subscribe": ["a", "b/*"], "since": since})
        assert isinstance(command, Subscribe)
        self.assertEqual(command.since, StartPositions(Now(), {"b/*": At(Cursor("abc", 7))}))
        self.assertEqual(command.since.of("a"), Now())

    def test_refusesBadStart(self) -> None:
        """
        A start position that is not valid is a bad cursor, and the detail shows
        it.
        """
        for bad in (None, 5, True, ["now"], "never", "-0", "abc-07", {"a": None}, {"a": "x"}):
            detail = self.refuse({"subscribe": ["a"], "since": bad}, BadCursor)
            value = bad["a"] if isinstance(bad, dict) else bad
            self.assertIn(repr(value), detail)

    @settings(deadline=None)
    @given(ids, names, beginnings | st.dictionaries(names.map(lambda all: all[0]), beginnings))
    def test_roundTrip(
        self, id: Id, listed: list[str], since: StartPosition | dict[str, StartPosition]
    ) -> None:
        """
        Every subscription is read as it was written.
        """
        fields: dict[str, Any] = {"subscribe": listed}
        if id is not None:
            fields["id"] = id
        if isinstance(since, dict):
            fields["since"] = {name: spell(one) for name, one in since.items()}
            expected = StartPositions(
                Now(), {name: since[name] for name in listed if name in since}
            )
        else:
            fields["since"] = spell(since)
            expected = StartPositions(since)
        self.assertEqual(read(fields), Subscribe(id, tuple(listed), expected))
        del fields["subscribe"]
        fields["unsubscribe"] = listed
        self.assertEqual(read(fields), Unsubscribe(id, tuple(listed)))


class PublishTests(SynchronousTestCase):
    """
    C{publish}.
    """

    def test_readsEverything(self) -> None:
        """
        Every key is read, except C{channel}, which is ignored.
        """
        fields = {"id": 3, "publish": "chat/a", "data": "AQI=", "channel": "other"}
        expected = Publication(("chat/a",), b'"AQI="', publisher="me")
        self.assertEqual(read(fields), Publish(3, expected))
        fields.update(event="tick", encoding="base64", key="k")
        expected = Publication(("chat/a",), b'"AQI="', "tick", "base64", "me", "k")
        self.assertEqual(read(fields), Publish(3, expected))

    def test_refusesBadMessage(self) -> None:
        """
        A bad message is refused with its own code.
        """
        for fields, kind in (
            ({"publish": "a"}, BadMessage),
            ({"publish": "a/*", "data": 1}, BadChannel),
            ({"publish": ["a"], "data": 1}, BadChannel),
            ({"publish": "a", "data": "x" * 11}, TooLarge),
            ({"publish": "a", "data": [[[]]]}, BadMessage),
            ({"publish": "a", "data": 1, "key": 1}, BadRequest),
        ):
            refused = self.assertRaises(CommandError, read, fields, SMALL)
            self.assertIs(type(refused.error), kind)

    @settings(deadline=None)
    @given(ids, values)
    def test_roundTrip(self, id: Id, value: Any) -> None:
        """
        Every value is read as it was written.
        """
        fields = {"publish": "a", "data": value}
        if id is not None:
            fields["id"] = id
        command = read(fields)
        assert isinstance(command, Publish)
        self.assertEqual(command.id, id)
        self.assertEqual(json.loads(command.publication.payload), value)


class AnswerTests(SynchronousTestCase):
    """
    L{encodeOK} and L{encodeError}.
    """

    def test_encodesOK(self) -> None:
        """
        The answer repeats the id, and has a cursor as text.
        """
        for id, expected in (
            (1, b'{"id":1,"ok":{"cursor":"abc-7","gap":["a"]}}'),
            ("x", b'{"id":"x","ok":{"cursor":"abc-7","gap":["a"]}}'),
            ("", b'{"id":"","ok":{"cursor":"abc-7","gap":["a"]}}'),
            (None, b'{"ok":{"cursor":"abc-7","gap":["a"]}}'),
        ):
            fields = {"cursor": Cursor("abc", 7), "gap": ["a"]}
            self.assertEqual(encodeOK(id, fields), expected)
        self.assertEqual(encodeOK(0, {}), b'{"id":0,"ok":{}}')

    def test_encodesStored(self) -> None:
        """
        The answer to a publication is that with its cursor alone.
        """
        result = Published("abc", {"a": 8, "b": 7})
        for id in (1, -(2**63), 2**64 - 1, "x", '"<\u2028', "", None):
            self.assertEqual(encodeStored(id, result), encodeOK(id, {"cursor": result.cursor}))

    def test_encodesError(self) -> None:
        """
        An error has its code and its detail.
        """
        self.assertEqual(
            encodeError(1, Internal("it broke")),
            b'{"id":1,"error":{"code":"internal","message":"it broke"}}',
        )
        self.assertEqual(
            encodeError(None, Unavailable("<later>")),
            b'{"error":{"code":"unavailable","message":"\\u003clater>"}}',
        )

    def test_encodesErrorWithSurrogates(self) -> None:
        """
        An error whose detail has lone surrogates is encoded.
        """
        answer = json.loads(encodeError(None, Internal("no file \udcff\n\x00")))
        self.assertEqual(answer["error"]["message"], "no file \\udcff\n\x00")

    def test_isSafe(self) -> None:
        """
        An answer has no characters that end a script or a line.
        """
        answer = encodeOK("</script>\u2028", {"pong": "</script>\n\u2029"})
        self.assertEqual(
            answer,
            b'{"id":"\\u003c/script>\\u2028","ok":{"pong":"\\u003c/script>\\n\\u2029"}}',
        )

    @settings(deadline=None)
    @given(ids, values)
    def test_repeatsPing(self, id: Id, value: Any) -> None:
        """
        The value of a ping is sent back as it was.
        """
        fields = {"ping": value}
        if id is not None:
            fields["id"] = id
        command = read(fields)
        assert isinstance(command, Ping)
        answer = json.loads(encodePong(command))
        self.assertEqual(answer.pop("id", None), id)
        self.assertEqual(answer, {"ok": {"pong": value}})

    def test_repeatsDeepPing(self) -> None:
        """
        The deepest ping that is read is answered, for any limit of depth.
        """
        for limit in (0, 64, 200):
            command = read({"ping": nested(limit + 1)}, Limits(maxDepth=limit))
            assert isinstance(command, Ping)
            answer = json.loads(encodePong(command))
            self.assertEqual(answer, {"ok": {"pong": nested(limit + 1)}})
