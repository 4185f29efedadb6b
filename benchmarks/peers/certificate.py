"""
The certificate of the peers that speak TLS: an elliptic key, as sites have it.
"""

from __future__ import annotations

from pathlib import Path

from tests.edge.tls import makeCertificate


def certificateIn(folder: Path) -> dict[str, str]:
    """
    Make a key and a certificate in a folder.

    @return: The paths of both, as C{key} and C{certificate}.
    """
    key, certificate = makeCertificate(folder)
    return {"key": str(key), "certificate": str(certificate)}
