"""The bodies of the actions, by the names that they bear in XML, and the answer that names a task."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from farshore.api.wire.model import Wire
from farshore.api.wire.scalars import Boolean, CheckpointId, Choice, VmNames, WholeNumber
from farshore.model.policies import CommitPolicy, ShutdownPolicy
from farshore.model.vpg import Priority

SECONDS_MAX = 2147483647
Seconds = Annotated[WholeNumber, Field(ge=0, le=SECONDS_MAX)]
"""A wait in whole seconds, as long as the page allows."""


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("it must not be empty")
    return text


class CheckpointsDataApi(Wire):
    """Insert a tagged checkpoint (10.0 calls the XML VpgInsertTagCheckpointDataApi; any root is read)."""

    checkpoint_name: Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_not_blank)]


class FailOverTestStartDataApi(Wire):
    """Start a failover test."""

    checkpoint_identifier: CheckpointId | None = None
    vm_identifiers: VmNames | None = None

    also: ClassVar[dict[str, tuple[str, ...]]] = {"checkpoint_identifier": ("checkpointId",)}
    deprecated: ClassVar[frozenset[str]] = frozenset({"checkpointid"})


class StopFailoverTestDataApi(Wire):
    """Stop failover tests. `TaskIdentifier` is our own: the one test that this task began; without it all."""

    failover_test_success: Boolean = True
    failover_test_summary: Annotated[str, Field(max_length=4000)] | None = None
    task_identifier: str | None = None


class CloneStartDataApi(Wire):
    """Start a clone. The page says CheckpointId, other actions CheckpointIdentifier: both are taken."""

    checkpoint_id: CheckpointId | None = None
    datastore_identifier: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    vm_identifiers: VmNames | None = None

    also: ClassVar[dict[str, tuple[str, ...]]] = {"checkpoint_id": ("CheckpointIdentifier",)}


class FailoverDataApi(Wire):
    """Start a failover. The wait is, despite its name, the one in Before Commit; null: the site's setting."""

    checkpoint_identifier: CheckpointId | None = None
    commit_policy: Annotated[CommitPolicy, Choice(CommitPolicy)] = CommitPolicy.Rollback
    time_to_wait_before_shutdown_in_sec: Seconds | None = None
    shutdown_policy: Annotated[ShutdownPolicy, Choice(ShutdownPolicy)] = ShutdownPolicy.None_
    is_reverse_protection: Boolean = False
    vm_identifiers: VmNames | None = None

    also: ClassVar[dict[str, tuple[str, ...]]] = {"checkpoint_identifier": ("checkpointId",)}
    deprecated: ClassVar[frozenset[str]] = frozenset({"checkpointid"})


class FailoverCommitDataApi(Wire):
    """Commit a failover; the default is the page's, whatever the failover said."""

    is_reverse_protection: Boolean = False


class MoveVpgDataApi(Wire):
    """Start a move. Policy and its time: null is the site's setting. ForceShutdown: null is False, or refused [M6]."""

    commit_policy: Annotated[CommitPolicy, Choice(CommitPolicy)] | None = None
    commit_policy_timeout: Seconds | None = None
    force_shutdown: Boolean | None = None
    reverse_protection: Boolean = True
    keep_source_vms: Boolean = False
    continue_on_pre_script_failure: Boolean = False


class MoveCommitVpgDataApi(Wire):
    """Commit a move; null: as the move said."""

    reverse_protection: Boolean | None = None
    keep_source_vms: Boolean | None = None


class VpgCreateDataApi(Wire):
    """Create a VPG the deprecated way [C1]; all that it leaves open is as in a new settings object.

    The members of other platforms (pools, profiles, vApps, organisations) and the datastore are read and not used.
    """

    vpg_name: Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_not_blank)]
    source_site_identifier: Annotated[str, Field(min_length=1)]
    target_site_identifier: Annotated[str, Field(min_length=1)]
    vms_identifiers: Annotated[VmNames, Field(min_length=1)]
    priority: Annotated[Priority, Choice(Priority)] = Priority.Medium
    datastore_identifier: str | None = None
    service_profile_identifier: str | None = None
    resource_pool_identifier: str | None = None
    org_vdc_identifier: str | None = None
    vc_vapp_identifier: str | None = None
    vcd_vapp_identifier: str | None = None
    zorg_identifier: str | None = None

    also: ClassVar[dict[str, tuple[str, ...]]] = {"vms_identifiers": ("VmIdentifiers",)}


class VpgDeleteDataApi(Wire):
    """Delete a VPG."""

    force: Boolean = False
    keep_recovery_volumes: Boolean = False


class PairDataApi(Wire):
    """Pair with another site."""

    host_name: Annotated[str, Field(min_length=1, max_length=255)]
    port: Annotated[WholeNumber, Field(ge=1, le=65535)] = 9670
    token: Annotated[str, Field(min_length=1, max_length=4096)]


class UnPairDataApi(Wire):
    """Unpair."""

    is_keep_target_disks: Boolean = True


class TaskIdentifierApi(Wire):
    """The answer of an action in the classic dialect."""

    task_identifier: str
