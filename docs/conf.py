"""
Configure the book, which C{sphinx-build -W docs docs/_build/html} builds without
a network.
"""

from __future__ import annotations

import sys
from pathlib import Path

import comet

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "comet"
author = "The comet developers"
version = release = comet.__version__

# These are in _ext: links to the pages of the Python API, the drawing of a
# reader's life from its table, and the lists of options and of commands.
extensions = ["apilinks", "commandlist", "lifediagram", "optionlist"]

exclude_patterns = ["_build", "examples", "newsfragments"]
nitpicky = True
highlight_language = "python"
pygments_style = "tango"

html_theme = "furo"
html_title = f"comet {release}"
html_favicon = "../comet/static/lab/icon.svg"
html_copy_source = False
html_show_sourcelink = False
