"""Failover, move, their ends, protecting back; pause, resume and forcesync: killed (-9) at every step, end undisturbed.

The steps are learned from the operations themselves (tests/killing/sitecustomize.py), so a new one is covered at once.
At each end these are compared with an undisturbed run of the same story: the task, the VPG at both sites, what it owes,
which VMs run where and with how many processes, carriers and views, every file; and the disks, to the last byte, with
what was written. In `make test` each step of a story is disturbed once, before its effect, inside it, or after it and
before its record: its manager is killed or the other site's, or a watcher or a carrier of either site. What and where
is drawn by a seed. In `make test-all` managers alone in every step, all others alone in every step, and each point of
each step alone, by each of them.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.killed_lab import KilledLab
from tests.killed_plays import STORIES, Play
from tests.storage_lab import until

MANAGERS = ["manager here", "manager here", "manager here", "manager there"]
OTHERS = ["watcher here", "watcher there", "journal here", "journal there", "tap there", "tap here", "sender there"]
OTHERS += ["view here", "sync here"]
STEERED = ["watcher here", "watcher there", "tap here", "sender here", "sync here", "journal there"]
"""The same of operations that run at the protected site."""
OTHERS_OF = {"failover": OTHERS, "move": OTHERS, "steering": STEERED}


def points(story):
    """Every place of a step, with each who may die there."""
    found = [(place, "manager here") for place in ("before", "inside", "after")]
    return found + [("inside", victim) for victim in ("manager there", *OTHERS_OF[story])]


POINTS = [(story, *point) for story in STORIES for point in points(story)]


class Plays:
    """A lab on which a story is played there and home again, first undisturbed, then with kills."""

    def __init__(self, lab, story, seed):
        self.lab, self.story, self.seed = lab, story, seed
        lab.begin()
        until(lab.checkpoints, 60, "a first checkpoint")
        lab.chain.end()
        self.site, self.content = "north", lab.read_disks("north")
        self.number = 0
        self.reference = None
        first = self.play()
        self.reference, self.sync = first.ends, first.sync
        self.steps = {step_of(line) for line in lab.trace(self.number)}
        self.last_number = max(line["number"] for line in lab.trace(self.number))
        faults = [site["faults"] for end in self.reference.values() for site in end.values()]
        assert not any(faults), faults

    def play(self, **plan):
        """One more play, disturbed as the plan says, with the ends of the first one."""
        self.number += 1
        self.lab.plan(play=self.number, seed=self.seed, **plan)
        play = Play(self.lab, self.number, self.site, self.content, self.seed)
        try:
            STORIES[self.story](play, self.reference)
        except BaseException:
            for line in self.lab.trace(self.number):
                print(line["time"], line["workflow"], line["number"], line["step"], line["place"], line["victim"])
            raise
        self.site, self.content = play.ends_at, play.content
        return play

    def kill_in_every_step(self, victims):
        """Each step of each operation is disturbed once. A manager's end does not make more of the sync than it is."""
        play = self.play(victims=victims)
        killed = [line for line in self.lab.trace(self.number) if line["victim"]]
        assert self.steps - {step_of(line) for line in killed} == set()
        assert victims is not MANAGERS or play.sync == self.sync
        print(f"{self.story}: {len(killed)} kills, {play.seconds:.0f} s")

    def kill_alone(self, place, victim):
        """One point in each operation is disturbed, all others of it are not; until each point had its turn."""
        points = 0
        for number in range(self.last_number + 1):
            self.play(alone={"number": number, "place": place, "victim": victim})
            points += sum(1 for line in self.lab.trace(self.number) if line["victim"])
        print(f"{self.story}: {victim} {place}: {points} points")


def step_of(line):
    """A step, whichever run it is of."""
    return line["workflow"], line["step"]


def drawn_seed():
    """FARSHORE_SEED, or a new one; printed."""
    seed = int(os.environ.get("FARSHORE_SEED", random.randrange(10**6)))
    print(f"FARSHORE_SEED={seed}")
    return seed


@pytest.mark.timeout(900)
@pytest.mark.parametrize("story", STORIES)
def test_every_step_is_disturbed_once(story):
    """Whatever is killed, of either site: the ends are those of an undisturbed run."""
    with KilledLab() as lab:
        Plays(lab, story, drawn_seed()).kill_in_every_step([*MANAGERS, "manager here", *OTHERS_OF[story]])


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["managers", "watchers-and-carriers"])
@pytest.mark.parametrize("story", STORIES)
def test_every_step_is_killed_once(story, which):
    """There and home, after an undisturbed run: in every step a manager, or in every step a watcher or a carrier."""
    victims = MANAGERS if which == "managers" else OTHERS_OF[story]
    with KilledLab() as lab:
        plays = Plays(lab, story, drawn_seed())
        for _ in range(2):
            plays.kill_in_every_step(victims)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("story", "place", "victim"), POINTS)
def test_each_point_is_killed_alone(story, place, victim):
    """The whole matrix: every point of every step of every operation of the story, by every kind of process."""
    with KilledLab() as lab:
        Plays(lab, story, drawn_seed()).kill_alone(place, victim)
