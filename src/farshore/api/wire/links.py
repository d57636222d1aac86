"""Links between resources; their members are written in lower case."""

from __future__ import annotations

from farshore.api.wire.model import LowerCase


class ResourceLink(LowerCase):
    """Where a resource is, and what it is."""

    href: str
    identifier: str
    rel: str = ""
    type: str
