"""What events are about, by the words and numbers that clients know, and what alerts are about.

The numbers of `EventType` are those that the original's documents gave to these words; what has no number there is
Unknown to clients, and told by Farshore's own word beside it.
"""

from __future__ import annotations

from enum import IntEnum


class EventType(IntEnum):
    """What happened. Clients use the names by index: no gaps."""

    Unknown = 0
    CreateProtectionGroup = 1
    RemoveProtectionGroup = 2
    FailOver = 3
    FailOverTest = 4
    StopFailOverTest = 5
    Move = 6
    ProtectVM = 7
    UnprotectVM = 8
    InstallVra = 9
    UninstallVra = 10
    UpdateProtectionGroup = 11
    InsertTaggedCP = 12
    HandleMirrorPromotion = 13
    ActivateAllMirrors = 14
    LogCollection = 15
    ForceReconfigurationOfNewVM = 16
    ClearSite = 17
    ForceRemoveProtectionGroup = 18
    ForceUpdateProtectionGroup = 19
    ForceKillProtectionGroup = 20
    PrePostScript = 21
    InitFullSync = 22
    Pair = 23
    Unpair = 24
    AddPeerVraInfo = 25
    RemovePeerVraInfo = 26
    InstallCloudConnector = 27
    UninstallCloudConnector = 28
    HandleFirstSyncDone = 29
    Clone = 30
    MoveBeforeCommit = 31
    MoveRollback = 32
    MoveCommit = 33
    UpgradeVRA = 34
    MaintainHost = 35
    NotSupportedInThisVersion = 36
    MoveProtectionGroupToManualOrganization = 37
    FailoverBeforeCommit = 38
    FailoverRollback = 39
    FailoverCommit = 40


class EventEntity(IntEnum):
    """What an event is of."""

    VPG = 0
    VRA = 1
    Unknown = 2
    Site = 3


class EventCategory(IntEnum):
    """Which events are asked for; all of ours are Events, since alerts have a list of their own."""

    All = 0
    Events = 1
    Alerts = 2


_OWN = {"paired": EventType.Pair, "PairSite": EventType.Pair, "UnpairSite": EventType.Unpair}


def event_type(kind: str) -> EventType:
    """What clients call an event of that kind."""
    return _OWN.get(kind) or EventType.__members__.get(kind, EventType.Unknown)


def kinds_of(wanted: EventType) -> list[str]:
    """The kinds that clients know by that word."""
    return [wanted.name, *(kind for kind, told in _OWN.items() if told is wanted)]


ALERT_LEVELS = ("Warning", "Error")
ALERT_ENTITIES = ("Zvm", "Vra", "Vpg", "CloudConnector", "Storage", "License", "Zcm", "FileRecoveryComponent")
"""As the original's documents list them; ours are of Zvm (the site) and Vpg."""

ALERT_HELP = {
    "both": "FSH0001",
    "clock": "FSH0002",
    "deadline": "FSH0003",
    "peer": "FSH0004",
    "token": "FSH0005",
    "vpg": "FSH0006",
    "hindered": "FSH0007",
}
"""By the first word of an alert's key: both sites' VMs run; a clock was set; a policy's time; a site does not answer;
a pairing token was used twice; a VPG does not keep what was promised;
a commit or rollback failed."""
ALERT_HELP_OTHER = "FSH0000"


def alert_help(key: str) -> str:
    """The identifier under which the docs tell of that matter."""
    return ALERT_HELP.get(key.partition(" ")[0], ALERT_HELP_OTHER)
