"""What kind of site each one says it is: this one by its settings, the others by what they told last."""

from __future__ import annotations

from typing import Any

from farshore.model.site_kinds import SiteKind
from farshore.site.site import Site


def kind_of(site: Site, site_id: str) -> SiteKind:
    """The kind of this site or of a peer; KVM for one that never said it. Reads the table: call it in a thread."""
    if site_id == site.id:
        return site.config.settings.kind
    return _understood(site.settings.get(_name(site_id)))


def note_kind(site: Site, site_id: str, told: dict[str, Any]) -> None:
    """A peer has said what it is; an older one says nothing. Blocks."""
    kind = _understood(told.get("kind"))
    if kind is not kind_of(site, site_id):
        site.settings.put(_name(site_id), kind.value)


def _name(site_id: str) -> str:
    return f"kind of {site_id}"


def _understood(word: Any) -> SiteKind:
    try:
        return SiteKind(word)
    except ValueError:  # nothing was said, or what this version does not know
        return SiteKind.Kvm
