"""
The directive C{options} lists every option of C{twistd comet}, from the list
that the program reads.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from comet.settings.options import OPTIONS
from optiontext import described, facts


class OptionList(SphinxDirective):
    """
    A definition list of all options.
    """

    def run(self) -> list[nodes.Node]:
        """
        Make the nodes of the page.
        """
        self.env.note_reread()
        items = nodes.definition_list()
        for option in OPTIONS:
            term = nodes.term("", "", ids=[f"option-{option.name}"])
            term += nodes.literal(text=f"--{option.name}")
            body = nodes.definition()
            body += nodes.paragraph(text=described(option))
            body += nodes.paragraph(text=facts(option))
            items += nodes.definition_list_item("", term, body)
        return [items]


def setup(app: Sphinx) -> dict[str, Any]:
    """
    Register the directive with Sphinx.
    """
    app.add_directive("options", OptionList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
