"""
The directive C{life}: the drawing that L{life} makes, and the table in words.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import life
from comet.fanout.states import TRANSITIONS


class Life(SphinxDirective):
    """
    The drawing, followed by a list of the transitions.
    """

    def run(self) -> list[nodes.Node]:
        """
        Make the nodes of the page.
        """
        self.env.note_reread()
        words = nodes.bullet_list()
        for (before, after), inputs in life.arcs(TRANSITIONS).items():
            line = nodes.paragraph()
            line += nodes.strong(text=before.value)
            line += nodes.Text(f", {' or '.join(each.value for each in inputs)}: ")
            line += nodes.strong(text=after.value)
            words += nodes.list_item("", line)
        return [nodes.raw("", life.draw(), format="html"), words]


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Register the directive with Sphinx.
    """
    app.add_directive("life", Life)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
