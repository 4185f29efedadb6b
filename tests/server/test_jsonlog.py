"""
Tests of L{comet.server.jsonlog}: the log as JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import dictionaries, floats, integers, none, one_of, text
from twisted.application.service import Application
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from comet.logging.clientlog import MAX_VALUE
from comet.server.jsonlog import MAX_FIELDS, JSONObserver, encodeEvent, outputOf
from comet.server.logoutput import LogOutput
from tests.test_tap import TapTestCase


class Unprintable:
    """
    What cannot be shown.
    """

    def __str__(self) -> str:
        """
        Fail.
        """
        raise ValueError("no")


def eventOf(format: str, **fields: Any) -> dict[str, Any]:
    """
    Make the event of a log line.
    """
    events: list[dict[str, Any]] = []

    def note(event: Any) -> None:
        events.append(dict(event))

    # Any: a function is an observer, too.
    observer: Any = note
    Logger("a.part", observer=observer).emit(LogLevel.warn, format, **fields)
    return events[0]


class EncodeTests(SynchronousTestCase):
    """
    One line for each event.
    """

    def test_fields(self) -> None:
        """
        An event is shown with its fields.
        """
        event = eventOf("{peer} left after {seconds}", peer="a\nb", seconds=1.5, more=[1])
        event["log_time"] = 1700000000.25
        self.assertEqual(
            json.loads(encodeEvent(event)),
            {
                "time": "2023-11-14T22:13:20.250Z",
                "level": "warn",
                "namespace": "a.part",
                "message": "a\\nb left after 1.5",
                "peer": "a\\nb",
                "seconds": 1.5,
                "more": "[1]",
            },
        )

    def test_traceback(self) -> None:
        """
        A failure is shown with its traceback.
        """
        event = eventOf("it failed", log_failure=Failure(ValueError("bad")))
        self.assertIn("ValueError: bad", json.loads(encodeEvent(event))["traceback"])

    def test_legacy(self) -> None:
        """
        Events of Twisted's older functions are shown, too.
        """
        event = {"message": ("hello",), "time": 1.0, "system": "-", "isError": 0}
        event.update(log_format="{log_text}", log_text="hello", log_namespace="log_legacy")
        told = json.loads(encodeEvent(event))
        self.assertEqual((told["message"], told["namespace"]), ("hello", "log_legacy"))
        self.assertEqual(set(told), {"time", "level", "namespace", "message"})

    def test_badEvents(self) -> None:
        """
        What cannot be shown as it is does no harm, and replaces no word of the line.
        """
        event = eventOf("{x}", x=Unprintable(), infinite=float("inf"), time="now")
        event["level"] = "debug"
        event["log_time"] = float("nan")
        told = json.loads(encodeEvent(event))
        self.assertEqual(told["x"], "<Unprintable>")
        self.assertEqual(told["infinite"], "inf")
        self.assertEqual(told["level"], "warn")
        self.assertTrue(told["time"].startswith("1970-01-01T"))

    @settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
    @given(
        dictionaries(text(min_size=1), one_of(text(), integers(), floats(), none())),
        text(),
    )
    def test_bounded(self, fields: dict[str, Any], format: str) -> None:
        """
        Each line is one line of printable ASCII, whatever an event has, and is bounded.
        """
        line = encodeEvent({"log_format": "{said}", "said": format, **fields})
        self.assertTrue(line.isascii() and line.isprintable())
        told = json.loads(line)
        self.assertLessEqual(len(told), MAX_FIELDS + 5)
        for value in told.values():
            self.assertLess(len(str(value)), 8 * MAX_VALUE + 4400)

    def test_manyFields(self) -> None:
        """
        Only so many fields are shown.
        """
        event = eventOf("x", **{f"f{n}": n for n in range(100)})
        self.assertEqual(len(json.loads(encodeEvent(event))), MAX_FIELDS + 4)


class OutputTests(SynchronousTestCase):
    """
    Where lines go.
    """

    def test_reopens(self) -> None:
        """
        A file that was moved away is left, and one of its name made.
        """
        path = Path(self.mktemp())
        output = outputOf({"logfile": str(path)})
        self.addCleanup(output.close)
        observer = JSONObserver(output)
        observer(eventOf("one"))
        moved = path.rename(f"{path}.1")
        observer(eventOf("two"))
        output.reopen()
        observer(eventOf("three"))
        told = [json.loads(line)["message"] for line in moved.read_text().splitlines()]
        self.assertEqual(told, ["one", "two"])
        self.assertEqual(json.loads(path.read_text())["message"], "three")
        self.assertEqual(path.stat().st_mode & 0o777 & ~0o640, 0)

    def test_cannotReopen(self) -> None:
        """
        Where there can be no new file, the old one is written on.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        output = LogOutput(str(folder / "log"))
        self.addCleanup(output.close)
        folder.rename(f"{folder}.1")
        output.reopen()
        output.write("on")
        self.assertEqual(Path(f"{folder}.1", "log").read_text(), "on\n")

    def test_standardOutput(self) -> None:
        """
        In the foreground without a file, lines go to the standard output.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        output = outputOf({"nodaemon": 1})
        output._file = writing
        output.write("on")
        output.reopen()
        os.close(writing)
        self.assertEqual(os.read(reading, 99), b"on\n")
        # The other end is gone.
        output.write("lost")

    def test_refuses(self) -> None:
        """
        What C{twistd} cannot do either is refused.
        """
        for options in ({"syslog": 1}, {"logfile": "-"}):
            with self.assertRaises(ValueError):
                outputOf(options)


class ServiceTests(TapTestCase):
    """
    C{twistd} asks the service what logs.
    """

    def test_givesObserver(self) -> None:
        """
        The application has the observer, if there is one.
        """
        service = self.make()
        application = Application("comet")
        service.setServiceParent(application)
        self.assertIsNone(application.getComponent(ILogObserver, None))
        service.disownServiceParent()
        observer = JSONObserver(LogOutput(""))
        self.patch(service, "observer", observer)
        service.setServiceParent(application)
        self.assertIs(application.getComponent(ILogObserver), observer)
