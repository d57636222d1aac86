"""The resources that `GET /v1` lists: those that answer in this version."""

RESOURCES = (
    "session",
    "accounts",
    "localsite",
    "peersites",
    "alerts",
    "events",
    "tasks",
    "virtualizationsites",
    "vms",
    "vpgs",
    "vras",
    "zorgs",
    "serviceprofiles",
    "vpgSettings",
    "volumes",
    "datastores",
    "license",
    "reports",
    "statistics",
    "serverDateTime",
)
