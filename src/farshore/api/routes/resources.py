"""The resources that `GET /v1` lists: those that answer in this version."""

RESOURCES = (
    "session",
    "accounts",
    "localsite",
    "peersites",
    "tasks",
    "virtualizationsites",
    "vms",
    "vpgs",
    "vpgSettings",
    "serverDateTime",
)
