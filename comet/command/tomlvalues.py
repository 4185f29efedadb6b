"""
Values of options as TOML.
"""

from __future__ import annotations

import json
from typing import Any


def tomlValue(value: Any) -> str:
    """
    Write a value: a text, a number, a flag, or several of them.
    """
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(tomlValue, value))}]"
    if isinstance(value, float):
        return f"{value:.15g}"
    if not isinstance(value, str):
        return json.dumps(value)
    # The escapes of JSON are TOML's, but for surrogates.  A terminal obeys some characters
    # that neither escapes.
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08X}" for each in quoted)
