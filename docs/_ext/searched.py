"""
Check that the search of the built book finds the words that readers know from
elsewhere, on the page that helps them: C{searched.py HTML}.

The search has an index of stems, which is read here as the reader's browser does.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from sphinx.search.en import SearchEnglish

# What readers type, and where they should get to.
WORDS: Final = (
    ("authentication", "howto/access"),
    ("authorization", "reference/access"),
    ("capacity", "howto/capacity"),
    ("Centrifugo", "howto/moving"),
    ("container", "howto/systemd"),
    ("Docker", "howto/containers"),
    ("Faye", "howto/moving"),
    ("history", "howto/history"),
    ("memory", "howto/capacity"),
    ("metrics", "reference/statistics"),
    ("migrate", "howto/moving"),
    ("Nchan", "howto/moving"),
    ("pagination", "howto/history"),
    ("reconnect", "howto/javascript"),
    ("reconnecting", "howto/javascript"),
    ("semver", "explanation/compatibility"),
    ("Socket.IO", "howto/moving"),
    ("TypeScript", "howto/javascript"),
    ("ulimit", "howto/capacity"),
)

_BEGIN: Final = "Search.setIndex("


def pagesOf(index: dict[str, Any], word: str) -> set[str]:
    """
    Return the pages that have a word in their text or in a title.
    """
    language = SearchEnglish({})
    found = set(index["docnames"])
    for part in language.split(word.lower()):
        stem = language.stem(part)
        # A single page is a number, several are a list.
        places = [index[kind].get(stem, []) for kind in ("terms", "titleterms")]
        numbers = [n for each in places for n in (each if isinstance(each, list) else [each])]
        found &= {index["docnames"][number] for number in numbers}
    return found


def main(html: Path) -> int:
    """
    Check all words.

    @return: The exit code: 0 if the search finds them all.
    """
    text = (html / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix(_BEGIN).rstrip().rstrip(";").removesuffix(")"))
    missing = [(word, page) for word, page in WORDS if page not in pagesOf(index, word)]
    for word, page in missing:
        print(f"searching the book for {word!r} does not find the page {page}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
