"""
Gives one parser what atheris makes: mutations that are kept if they reach new
lines.  C{python -m tests.fuzz.guided PARSER SECONDS SEED}; L{run} starts one for
each parser, since libFuzzer ends the process it runs in.

Needs the package C{atheris}, of the extra C{fuzz}.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from tests.fuzz.findings import Finding

# How many bytes an input may have.
MOST_BYTES: Final = 4096

_COUNT: Final = re.compile(r"(?m)^(?:Done |stat::number_of_executed_units: )([0-9]+)")


def isThere() -> bool:
    """
    Whether atheris is installed.
    """
    return importlib.util.find_spec("atheris") is not None


def run(
    names: Sequence[str],
    number: int,
    seconds: float,
    found: Callable[[Finding], None] = lambda finding: None,
) -> tuple[dict[str, int], list[Finding]]:
    """
    Give parsers what atheris makes.

    @param names: The parsers.

    @param number: The seed.

    @param seconds: How long it takes in all, besides starting.

    @param found: Called with each finding.

    @return: How many inputs each parser got, and the findings.
    """
    counts, findings = {}, []
    each = max(int(seconds / max(len(names), 1)), 1)
    for name in names:
        command = [sys.executable, "-m", "tests.fuzz.guided", name, str(each), str(number)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        said = done.stderr + done.stdout
        counts[name] = max([int(each) for each in _COUNT.findall(said)], default=0)
        if done.returncode:
            finding = Finding(f"{name}, guided", b"", said[-4000:])
            findings.append(finding)
            found(finding)
    return counts, findings


def main(given: Sequence[str]) -> None:
    """
    Give one parser what atheris makes, and end the process.
    """
    # Any: atheris has no annotations, and is not always there.
    guide: Any = importlib.import_module("atheris")
    name, seconds, number = given
    with guide.instrument_imports(include=["comet"]):
        from tests.fuzz.parsers import makeParsers
    (parser,) = (each for each in makeParsers() if each.name == name)

    def feed(data: bytes) -> None:
        try:
            parser.attempt(data)
        except Exception:
            print(Finding(name, data, ""), file=sys.stderr)
            raise

    with tempfile.TemporaryDirectory() as folder:
        for index, data in enumerate(parser.corpus):
            (Path(folder) / f"{index}").write_bytes(data)
        limits = (f"-max_total_time={seconds}", f"-seed={number}", f"-max_len={MOST_BYTES}")
        others = ("-rss_limit_mb=4096", "-timeout=20", "-print_final_stats=1")
        guide.Setup(["guided", *limits, *others, f"-artifact_prefix={folder}/", folder], feed)
        guide.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
