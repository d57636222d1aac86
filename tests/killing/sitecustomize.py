"""Kills processes of a lab at chosen points of its operations; every Python process of such a lab loads this at start.

The points are learned from the operations: whatever is a step (operations.engine) has one before its effect, one
inside it, and one after it, before its record; a workflow has one before its first step and one after its last. The
file `plan.json` in
the folder FARSHORE_KILLS says what to kill where; each point is written to `trace`, and kills at most once.
Nothing of this is known to the product: the module that has the decorators is changed as it is imported.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import functools
import importlib.abc
import importlib.machinery
import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

FOLDER = os.environ.get("FARSHORE_KILLS")
ENGINE, SITE_PROCESS = "farshore.operations.engine", "farshore.cli.site_process"
CARRIERS = {"tap": "tap", "sender_process": "sender", "journal_carrier": "journal", "view": "view", "sync": "sync"}
CARRIERS["clone"] = "clone"
INSIDE_SECONDS_MAX = 0.2


@dataclasses.dataclass
class Run:
    """One run of a workflow in this process. Recorded steps are counted too, so a step keeps its number."""

    workflow: str
    task: str
    number: int = 0


RUN: contextvars.ContextVar[Run] = contextvars.ContextVar("run")


def change_engine(engine):
    """Put the points around what is a step or a workflow."""
    plain_step, plain_workflow = engine.step, engine.workflow

    def step(function):
        name = function.__name__

        @functools.wraps(function)
        async def with_points(*arguments, **named):
            run = RUN.get()
            point(run, name, "before")
            point(run, name, "inside")
            result = await function(*arguments, **named)
            point(run, name, "after")
            return result

        recorded = plain_step(with_points)

        @functools.wraps(function)
        async def counted(*arguments, **named):
            RUN.get().number += 1
            return await recorded(*arguments, **named)

        return counted

    def workflow(name):
        def register(function):
            @functools.wraps(function)
            async def with_points(task_id):
                run = Run(name, task_id)
                RUN.set(run)
                point(run, "begin", "before")
                await function(task_id)
                run.number += 1
                point(run, "end", "after")

            return plain_workflow(name)(with_points)

        return register

    engine.step, engine.workflow = step, workflow


def start_again_at_once(site_process):
    """A manager that is killed at every step is not made to wait longer and longer."""
    site_process.PAUSE_SECONDS_MAX = site_process.PAUSE_SECONDS_FIRST


CHANGES = {ENGINE: change_engine, SITE_PROCESS: start_again_at_once}


def point(run, name, place):
    """Do what the plan says of this point, the first time that it is reached."""
    folder = Path(FOLDER)
    plan = json.loads((folder / "plan.json").read_text())
    key = f"{run.task}.{run.number}.{name}.{place}"
    reached = folder / "reached" / key
    if reached.exists():
        return
    victim = chosen(plan, run, name, place)
    line = {"play": plan["play"], "workflow": run.workflow, "task": run.task, "number": run.number, "step": name}
    line |= {"place": place, "victim": victim, "time": round(time.time(), 2)}
    with (folder / "trace").open("a") as trace:
        trace.write(json.dumps(line) + "\n")
    reached.touch()
    if victim:
        kill(plan["sites"], *victim.split(), at_once=place != "inside")


def chosen(plan, run, name, place):
    """What to kill here: `ROLE here|there`, or None. Drawn by the seed and the step, or the one of the plan."""
    alone = plan.get("alone")
    if alone:
        here = alone["number"] == run.number and alone["place"] == place
        return alone["victim"] if here else None
    if not plan.get("victims"):
        return None
    drawn = random.Random(f"{plan['seed']} {plan['play']} {run.workflow} {run.number} {name}")
    places = {"begin": ["before"], "end": ["after"]}.get(name, ["before", "inside", "after"])
    if drawn.choice(places) != place:
        return None
    return drawn.choice(plan["victims"])


def kill(sites, role, where, *, at_once):
    """Kill (-9) what has that role at this site or at the other one; or a moment later, while the step goes on."""
    own = os.path.realpath(sys.argv[1])
    folder = next(Path(site) for site in sites if (os.path.realpath(site) == own) == (where == "here"))
    if at_once:
        kill_all(folder, role)
    else:
        threading.Timer(random.uniform(0, INSIDE_SECONDS_MAX), kill_all, (folder, role)).start()


def kill_all(folder, role):
    """Kill the processes of a site that have the role."""
    from farshore.cli.processes import site_processes

    if role == "manager" and os.path.realpath(folder) == os.path.realpath(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
    for process in site_processes(folder):
        module = next((word for word in process.command if word.startswith("farshore.datapath.")), "")
        if CARRIERS.get(module.removesuffix(".__main__").rpartition(".")[2], process.role) == role:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)


class Changing(importlib.abc.MetaPathFinder):
    """Finds the modules that are to be changed, and changes each right after it was loaded."""

    def find_spec(self, name, path, target=None):
        """As importlib wants it."""
        if name not in CHANGES:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def load_and_change(module):
            load(module)
            CHANGES[name](module)

        spec.loader.exec_module = load_and_change
        return spec


if FOLDER:
    sys.meta_path.insert(0, Changing())
