"""The records of a made-up site: two alerts, three events, and reports of what was ordered."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from farshore.errors import BadInput, NotFound
from farshore.model.kept import KeptVolumesView, KeptVolumeView
from farshore.model.record_views import AlertView, EventFilter, EventView, HeldVmView, ReportFilter
from farshore.model.scripts import ScriptRun
from farshore.model.settings_export import ExportedVpg, SettingsExport
from farshore.model.task import TaskState
from farshore.model.views import CheckpointView, ReportStep, ReportView, TaskView
from farshore.model.vpg import VpgSettings, VpgVm

VPG = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
START_NS = 1_795_600_000_123_456_789
SECOND = 1_000_000_000
KEPT = "c0000000-0000-4000-8000-00000000000c"
OF_VPG, OF_SITE = "a0000000-0000-4000-8000-00000000000a", "b0000000-0000-4000-8000-00000000000b"

FAILED, PRINTED = "It ended with exit status 3.", "frozen <db>\n]]> & thawed\n"


def made_up_report(task: TaskView, vpg_name: str) -> ReportView:
    """A report of that task: of three steps one went well, one failed, one runs."""
    return ReportView(
        task_id=task.task_id,
        type=task.type,
        vpg_id=task.vpg_id or "",
        vpg_name=vpg_name,
        protected_site_name="north",
        recovery_site_name="south",
        who=task.who,
        state=task.state,
        started_ns=START_NS,
        completed_ns=task.completed_ns,
        note="Waiting for <the> first output",
        checkpoint=CheckpointView(checkpoint_id="9", time_ns=START_NS - 4 * SECOND, tag="end & of <day>"),
        rpo_seconds=4.0,
        rto_seconds=2.25,
        vms=("db", "web"),
        steps=(
            ReportStep(name="pin_checkpoint", started_ns=START_NS, completed_ns=START_NS + SECOND // 4),
            ReportStep(
                name="tell_peer", started_ns=START_NS + SECOND, completed_ns=START_NS + 2 * SECOND, error="no <answer>"
            ),
            ReportStep(name="start_vms", started_ns=START_NS + 2 * SECOND),
        ),
        scripts=(
            ScriptRun(phase="pre", command="quiesce", exit_status=3, seconds=1.5, failure=FAILED, output=PRINTED),
        ),
    )


def made_up_alerts(dismissed: frozenset[str]) -> list[AlertView]:
    """An alert of the VPG and one of the site."""
    return [
        AlertView(
            alert_id=alert_id,
            level=level,
            entity="Vpg" if vpg_id else "Zvm",
            help_id="FSH0006" if vpg_id else "FSH0004",
            fact="It <is> wrong",
            remedy="See & mend it",
            raised_ns=START_NS,
            dismissed=alert_id in dismissed,
            vpg_id=vpg_id,
        )
        for alert_id, level, vpg_id in ((OF_VPG, "Warning", VPG), (OF_SITE, "Error", ""))
    ]


def made_up_events() -> list[EventView]:
    """An operation's end, one that failed, one of the site itself; newest first."""
    later, first = START_NS + 2 * SECOND, START_NS
    return [
        EventView(event_id=3, kind="FailOverTest", text="done", who="admin", vpg_id=VPG, occurred_ns=later),
        EventView(event_id=2, kind="Move", text="failed: no", who="admin", vpg_id=VPG, occurred_ns=first + SECOND),
        EventView(event_id=1, kind="clock", text="The <clock> was set.", occurred_ns=first),
    ]


def made_up_exported() -> tuple[ExportedVpg, ...]:
    """The VPG as it once was set, and one that is not there any more."""
    north, south = "1111", "2222"
    sites = {
        "protected_site_id": "-".join((north * 2, north, "4111", "8111", north * 3)),
        "protected_site_name": "north",
        "recovery_site_id": "-".join((south * 2, south, "4222", "8222", south * 3)),
        "recovery_site_name": "south <2>",
    }
    gone = ExportedVpg(vpg_id=VPG.replace("a", "b"), name="Payroll", vms=(VpgVm(vm_id="vm-7", vm_name="x"),), **sites)
    settings = VpgSettings(history_seconds=7200, rpo_seconds=77)
    vms = tuple(VpgVm(vm_id=f"vm-{n}", vm_name=f"vm {n}") for n in (1, 2, 3, 4))
    return ExportedVpg(vpg_id=VPG, name="Löhne <&>", settings=settings, vms=vms, **sites), gone


@dataclass
class MadeUpRecords:
    """Alerts, events and reports in memory."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    known_tasks: dict[str, TaskView] = field(default_factory=dict)
    ending: TaskState | None = None
    """As what every task ends at the second look; None: none ends."""
    dismissed: frozenset[str] = frozenset()
    """Identifiers of alerts."""
    exports: list[SettingsExport] = field(default_factory=list)

    async def reports(self, which: ReportFilter) -> list[ReportView]:
        """Of the tasks that were ordered; what is asked for is noted."""
        self.calls.append(("reports", which))
        found = [made_up_report(task, "a VPG") for task in self.known_tasks.values() if task.type in which.types]
        return found[which.skip : which.skip + which.limit]

    async def alerts(self) -> list[AlertView]:
        """Both."""
        return made_up_alerts(self.dismissed)

    async def dismiss_alert(self, alert_id: str, *, dismissed: bool, who: str) -> None:
        """Noted."""
        self.calls.append(("dismiss_alert", (alert_id, dismissed, who)))
        self.dismissed = self.dismissed | {alert_id} if dismissed else self.dismissed - {alert_id}

    async def held_vms(self) -> list[HeldVmView]:
        """One that can be released, one that a VPG needs."""
        held = HeldVmView(vm_id="held-1", vm_name="old <db>", reason="Moved & kept.")
        return [held, HeldVmView(vm_id="held-2", vm_name="web", reason="Moved.", needed_by="VPG x needs it.")]

    async def release_vm(self, vm_id: str, who: str) -> None:
        """Noted, if it is held."""
        if vm_id not in {"held-1", "held-2"}:
            raise NotFound(f"No VM {vm_id} is held.", "")
        self.calls.append(("release_vm", (vm_id, who)))

    async def kept_volumes(self) -> list[KeptVolumesView]:
        """One set."""
        volume = KeptVolumeView(vm_id="vm-1", vm_name="old <db>", disk_id="a", size_bytes=1 << 20, path="/k/db.a.0.raw")
        times = {"checkpoint_time_ns": START_NS, "kept_ns": START_NS + SECOND}
        of = {"vpg_id": VPG, "vpg_name": "shop & co", "checkpoint_id": "9", "folder": "/k"}
        return [KeptVolumesView(kept_id=KEPT, volumes=(volume,), **of, **times)]

    async def remove_kept_volumes(self, kept_id: str, who: str) -> None:
        """Noted, if it is there."""
        if kept_id != KEPT:
            raise NotFound(f"No volumes are kept as {kept_id}.", "")
        self.calls.append(("remove_kept_volumes", (kept_id, who)))

    async def export_settings(self, names: tuple[str, ...]) -> SettingsExport:
        """Kept in memory: those two, or those named."""
        for name in names:
            if name not in {"Payroll", "Löhne <&>"}:
                raise BadInput(f"VpgNames: there is no VPG {name}.", "")
        vpgs = tuple(vpg for vpg in made_up_exported() if not names or vpg.name in names)
        export = SettingsExport(time_ns=(1_800_000_000 + len(self.exports)) * SECOND, vpgs=vpgs)
        self.exports.append(export)
        return export

    async def settings_exports(self) -> list[int]:
        """Of those in memory."""
        return [export.time_ns for export in reversed(self.exports)]

    async def settings_export(self, time_ns: int) -> SettingsExport | None:
        """One of them."""
        return next((export for export in self.exports if export.time_ns == time_ns), None)

    async def events(self, which: EventFilter) -> list[EventView]:
        """All three, of which the filter's kinds, account, VPG and identifier choose; the filter is noted."""
        self.calls.append(("events", which))
        return [
            event
            for event in made_up_events()
            if (which.kinds is None or event.kind in which.kinds)
            and which.event_id in {None, event.event_id}
            and which.who in {None, event.who}
            and which.of_vpgs in {None, bool(event.vpg_id)}
        ]
