"""A report's facts and steps in words, the same for the terminal and for the page."""

from __future__ import annotations

from typing import Any

from farshore.cli.output import time_ns_of

Facts = list[tuple[str, str]]


def seconds_text(value: str | None) -> str | None:
    """`2.250 s`; None stays None."""
    return None if value is None else f"{float(value):.3f} s"


def report_facts(report: dict[str, Any]) -> Facts:
    """What holds for the whole operation, without what is not known."""
    general = report["General"]
    checkpoint = general.get("Checkpoint")
    point = None
    if checkpoint is not None:
        tag = f", tagged {checkpoint['Tag']}" if checkpoint.get("Tag") else ""
        point = f"{checkpoint['CheckpointIdentifier']} of {checkpoint['TimeStamp']}{tag}"
    facts = (
        ("operation", general["RecoveryType"]),
        ("VPG", general["VpgName"]),
        ("VMs", ", ".join(vm["VmName"] for vm in report["RecoverySettings"]["Vms"])),
        ("asked by", general["InitiatedBy"]),
        ("state", general["Status"]),
        ("reason", general.get("Reason")),
        ("note", general.get("Notes")),
        ("started", general["StartTime"]),
        ("ended", general.get("EndTime")),
        ("took", _span(general["StartTime"], general.get("EndTime"))),
        ("checkpoint", point),
        ("RPO (age of the checkpoint when asked)", seconds_text(general.get("RpoInSeconds"))),
        ("RTO (until the recovered VMs ran)", seconds_text(general.get("RtoInSeconds"))),
        ("task", report["RecoveryOperationIdentifier"]),
    )
    return [(name, value) for name, value in facts if value]


def _span(start: str, end: str | None) -> str | None:
    return None if end is None else f"{(time_ns_of(end) - time_ns_of(start)) / 1e9:.3f} s"


def report_scripts(report: dict[str, Any]) -> list[tuple[str, str, str, str, str, str]]:
    """Each script that was run: when, its name, exit status, how long it took, why it failed, and what it printed."""
    return [
        (
            script["Phase"],
            script["Command"],
            "none" if script["ExitStatus"] is None else str(script["ExitStatus"]),
            seconds_text(script["ExecutionTime"]) or "",
            script["Reason"],
            ("[only the end is kept]\n" if script["IsOutputCut"] else "") + script["Output"],
        )
        for script in report["RecoverySettings"].get("Scripts") or []
    ]


def scripts_text(report: dict[str, Any]) -> str:
    """The same for a terminal, what was printed set apart; "" when there were none."""
    told = []
    for when, name, status, took, reason, output in report_scripts(report):
        told.append(f"\n{when} {name}: exit status {status}, {took}. {reason}".rstrip())
        told += [f"  | {line}" for line in output.splitlines()]
    return "\n".join(told)


def report_steps(report: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """Each step: its name, when it began (since the order), how long it took, its result, why it failed."""
    began = report["General"]["StartTime"]
    return [
        (
            step["Description"],
            _span(began, step["StartTime"]) or "",
            seconds_text(step.get("ExecutionTime")) or "runs",
            step["Result"],
            step.get("Reason") or "",
        )
        for step in report["RecoverySettings"]["Steps"]
    ]
