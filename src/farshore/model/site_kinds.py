"""Kinds of sites, and how two sites stand to each other."""

from __future__ import annotations

from enum import Enum, IntEnum


class SiteKind(Enum):
    """What a site runs on, by the word that the API gives as SiteType."""

    Kvm = "KVM"


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
