"""The base of all wire models: what JSON and XML have in common.

A model's class name is its XML name, its members are the snake_case of the PascalCase that clients know; `also` holds
older names that a member still answers to, `deprecated` those of them that are reported as such.
"""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

_SPELLED = {
    "actual_rpo": "ActualRPO",
    "iops": "IOPs",
    "throughput_in_mb": "ThroughputInMB",
    "used_storage_in_mb": "UsedStorageInMB",
    "provisioned_storage_in_mb": "ProvisionedStorageInMB",
    "hard_limit_in_mb": "HardLimitInMB",
    "warning_threshold_in_mb": "WarningThresholdInMB",
    "window_in_mb": "WindowInMB",
    "write_counter_in_mbs": "WriteCounterInMBs",
    "sync_counter_in_mbs": "SyncCounterInMBs",
    "network_traffic_counter_in_mbs": "NetworkTrafficCounterInMBs",
    "volumes_provisioned_storage_in_gb": "VolumesProvisionedStorageInGB",
    "volumes_used_storage_in_gb": "VolumesUsedStorageInGB",
    "journal_provisioned_storage_in_gb": "JournalProvisionedStorageInGB",
    "journal_used_storage_in_gb": "JournalUsedStorageInGB",
    "memory_size_in_mb": "MemorySizeInMB",
    "bandwidth_throttling": "BandwidthThrottlingInMBs",
    "resource_pool_name": "ResourcepoolName",
}
"""Members that clients know by a spelling that no rule gives."""

FROM_CLIENT: dict[str, str] = {"from": "client"}
"""The validation context of what a client sent; what we make ourselves is spelled right."""


def spelled(field: str) -> str:
    """A member's name on the wire."""
    return _SPELLED.get(field) or "".join(part[:1].upper() + part[1:] for part in field.split("_"))


class Wire(BaseModel):
    """Base of all that is read or written. Construct by field names."""

    model_config = ConfigDict(alias_generator=spelled, populate_by_name=True, extra="allow", protected_namespaces=())
    also: ClassVar[dict[str, tuple[str, ...]]] = {}
    deprecated: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _fold(cls, data: Any, info: ValidationInfo) -> Any:
        """Give each member its own spelling; refuse one that is given twice with different values."""
        if info.context is not FROM_CLIENT or not isinstance(data, dict):
            return data
        folded: dict[str, Any] = {}
        given: dict[str, str] = {}
        for name, value in data.items():
            own = str(names_of(cls).get(str(name).lower()) or name)
            seen = given.get(own.lower())
            if seen is not None and data[seen] != value:
                raise ValueError(f"{own} is given twice, as {seen} and as {name}, with different values")
            given[own.lower()] = name
            if value is not None:  # null means the default
                folded[own] = value
        return folded

    @classmethod
    def read(cls, data: Any) -> Self:
        """The model from plain data that a client sent. Raises pydantic's ValidationError."""
        return cls.model_validate(data, context=FROM_CLIENT)

    def unknown_members(self) -> list[str]:
        """The members that were sent and mean nothing here, with those of parts as Part.Member."""
        found = list(self.model_extra or ())
        for field, info in type(self).model_fields.items():
            value = getattr(self, field)
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, Wire):
                    found += [f"{info.alias}.{name}" for name in part.unknown_members()]
        return sorted(set(found))


class LowerCase(Wire):
    """A part whose members are written in lower case: links."""

    model_config = ConfigDict(alias_generator=lambda field: field)


@cache
def names_of(kind: type[Wire]) -> dict[str, str]:
    """Every name by which a member may be called, in lower case, to its own spelling."""
    names: dict[str, str] = {}
    for field, info in kind.model_fields.items():
        own: str = info.alias or field
        for name in (field, own, *kind.also.get(field, ())):
            names[name.lower()] = own
    return names
