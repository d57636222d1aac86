"""Kinds of sites, and how two sites stand to each other."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class SiteKind(StrEnum):
    """What a site says of itself: what it runs on, or that a service provider runs it. Rules of the page hold by it."""

    Kvm = "kvm"
    Azure = "azure"
    Aws = "aws"
    Vcd = "vcd"
    Csp = "csp"

    @property
    def word(self) -> str:
        """What the API gives as SiteType."""
        return {SiteKind.Azure: "Azure", SiteKind.Aws: "AWS"}.get(self, self.value.upper())


CLOUDS = frozenset({SiteKind.Azure, SiteKind.Aws})
"""Where no checkpoint is cut by hand."""


class EntityKind(IntEnum):
    """What one end of a VPG is, by the number that clients know; KVM is told as VCenter, its nearest relative."""

    VCenter = 0
    VCDvApp = 1
    VCDOrgVdc = 2
    Aws = 3
    HyperV = 4
    Azure = 5


class PairingStatus(IntEnum):
    """How a site stands to another."""

    Paired = 0
    Pairing = 1
    Unpaired = 2
