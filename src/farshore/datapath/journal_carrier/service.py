"""The carrier's work: the journal, the one connection that writes it, and retention."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from farshore.datapath.journal import Journal, NoSpace, OldSession, SequenceGap
from farshore.datapath.journal.retired import begin_anew
from farshore.datapath.journal_carrier.alone import Alone
from farshore.datapath.journal_carrier.hash_service import HashService
from farshore.datapath.journal_carrier.takings import Takings
from farshore.datapath.replica.old_disks import OldDisks
from farshore.datapath.replica.promotion import Promoter
from farshore.datapath.replica.seed import begin_seeded
from farshore.datapath.replica.take_out import retire_volumes
from farshore.datapath.stream.link import LinkBroken, ReceiverLink
from farshore.datapath.stream.messages import Refusal, pack_line, parse_line
from farshore.datapath.stream.receiver import BufferPool, Receiver
from farshore.errors import BadInput, Conflict, FarshoreError, NotPermitted
from farshore.model.files import remove_unfinished

_LOG = logging.getLogger(__name__)
ROOM_TO_RESUME_BYTES = 1 << 20
RETENTION_SECONDS_MAX = 15.0
RETIRE_SECONDS_MAX = 3.0
"""How long a call may wait for a promotion to come to its next pause; the watcher takes longer silence for a hang."""


class Spec(NamedTuple):
    """What the carrier needs of a KeepSpec (read as plain JSON: pydantic would be most of this process's memory)."""

    vpg_id: str
    epoch: int
    peer_site_id: str
    history_seconds: float
    reserve_bytes: int | None
    volumes: tuple[dict[str, Any], ...] = ()
    seed: dict[str, Any] | None = None
    """A JournalSeed: what an empty journal begins from."""

    @classmethod
    def of(cls, data: dict[str, Any]) -> Spec:
        """From the file that the watcher wrote."""
        return cls(
            vpg_id=str(data["vpg_id"]),
            epoch=int(data["epoch"]),
            peer_site_id=str(data["peer_site_id"]),
            history_seconds=float(data["history_seconds"]),
            reserve_bytes=data.get("reserve_bytes"),
            volumes=tuple(data.get("volumes", ())),
            seed=data.get("seed"),
        )


class Service:
    """Owns the journal while the carrier runs. `peer_of` tells from a certificate which site shows it."""

    def __init__(self, folder: Path, spec: Spec, context: ssl.SSLContext, peer_of: Any) -> None:
        """Open the journal for writing. Raises JournalInUse, DamagedJournal, and what a seed is refused with."""
        self.spec = spec
        begin_anew(folder, spec.epoch)
        if spec.seed is not None:
            begin_seeded(folder, spec.seed, list(spec.volumes))
        self.journal = Journal.open(folder, writable=True, reserve_bytes=spec.reserve_bytes)
        remove_unfinished(folder, besides=("segments", "checkpoints"))
        if spec.epoch > self.journal.epoch.epoch or not self.journal.epoch.journal_id:
            self.journal.raise_epoch(max(spec.epoch, self.journal.epoch.epoch, self.journal.ledger.epoch))
        self.old_disks = OldDisks(self.journal)
        self.disks_fault = ""
        """Why the old disks under the journal cannot be held; nothing is received and promoted meanwhile."""
        self.promoter = Promoter(self.journal, spec.history_seconds, self.old_disks)
        self.promoter.pauses = lambda: self.stopping.is_set() or self._alone.wanted
        self.receiver: Receiver | None = None
        self.refusal: Refusal | None = None
        self.refused_because = ""
        self.stopping = threading.Event()
        self._alone = Alone()
        self.takings = Takings(self.journal, self.promoter, self.old_disks, self._alone, self.stopping)
        self._context = context
        self._peer_of = peer_of
        self.hashes = HashService(self.journal, spec.vpg_id, context, self._demand_peer)
        self._pool = BufferPool()
        self._turn = threading.Lock()
        self._newest_session = self.journal.ledger.session
        self._retention = threading.Thread(target=self._retain, name="retention")
        self._hold_disks()
        self._retention.start()
        self.takings.resume()

    # -- connections
    def connection(self, plain: socket.socket) -> None:
        """Serve one connection, in a thread of its own. A newer one ends the one before it."""
        link: ReceiverLink | None = None
        try:
            link = ReceiverLink(plain, self._context)
            certificate, line = link.greet()
            hello = parse_line(line)
            self._demand_peer(certificate)
        except (OSError, LinkBroken, FarshoreError) as error:
            _LOG.warning("a connection was not taken: %s", error)
            if link is not None:
                link.close()
            plain.close()
            return
        before = self.receiver
        if before is not None:
            before.stop()
        with self._turn:
            self._serve(link, hello)

    def _demand_peer(self, certificate: dict[str, object]) -> None:
        site_id = self._peer_of(certificate)
        if site_id != self.spec.peer_site_id:
            raise NotPermitted(f"Site {site_id} is not the protected site of VPG {self.spec.vpg_id}.")

    def _serve(self, link: ReceiverLink, hello: dict[str, Any]) -> None:
        try:
            if self.stopping.is_set():
                return
            try:
                welcome = self.welcome(hello)
            except FarshoreError as error:
                self._note_refusal(getattr(error, "refusal", Refusal.DAMAGED), str(error))
                epoch = self.journal.epoch.epoch
                code = (self.refusal or Refusal.DAMAGED).code
                link.send_bytes(pack_line({"ok": False, "code": code, **error.to_json(), "epoch": epoch}))
                return
            link.send_bytes(pack_line(welcome))
            self.refusal, self.refused_because = None, ""
            self.receiver = Receiver(link, self.journal, UUID(self.spec.vpg_id).bytes, self._pool)
            self.receiver.run()
            if self.receiver.refusal is not None:
                self._note_refusal(self.receiver.refusal, self.receiver.reason)
            _LOG.info("the connection ended: %s", self.receiver.reason)
        except LinkBroken as error:
            _LOG.info("the connection ended in the greeting: %s", error)
        finally:
            self.receiver = None
            link.close()

    def _note_refusal(self, refusal: Refusal, reason: str) -> None:
        self.refusal, self.refused_because = refusal, reason
        if refusal is Refusal.NO_SPACE:
            _LOG.warning("no space: %s", reason)

    def welcome(self, hello: dict[str, Any]) -> dict[str, Any]:
        """The answer to a greeting. Raises what the stream is refused with."""
        journal = self.journal
        try:
            vpg_id, epoch = str(hello["vpg"]), int(hello["epoch"])
            session, first = int(hello["session"]), int(hello["first_sequence"])
        except (KeyError, ValueError, TypeError) as error:
            raise BadInput("The greeting lacks what a greeting has.") from error
        if vpg_id != self.spec.vpg_id:
            raise UnknownVpg(f"The journal is that of VPG {self.spec.vpg_id}, not of {vpg_id}.")
        if journal.retired and epoch >= journal.epoch.epoch:
            journal.demand_undamaged()
        try:
            journal.raise_epoch(epoch)
        except OSError as error:
            raise NoSpace(f"The epoch could not be made durable: {error}.", "Look at the journal's store.") from error
        journal.demand_undamaged()
        self.old_disks.hold()
        if session < self._newest_session:
            raise OldSession(f"Session {session} is over: {self._newest_session} is the newest.")
        durable = journal.ledger.sequence if session == journal.ledger.session else 0
        if first > durable + 1:
            raise SequenceGap(f"The other site has segments from {first} on, here the last one is {durable}.")
        self._make_room()
        self._newest_session = session
        return {
            "ok": True,
            "durable_sequence": durable,
            "epoch": journal.epoch.epoch,
            "journal_id": journal.epoch.journal_id,
        }

    def _make_room(self) -> None:
        missing = self.journal.reserve.missing_bytes(ROOM_TO_RESUME_BYTES if self.refusal is Refusal.NO_SPACE else 0)
        if missing:
            raise NoSpace(
                f"The journal's store lacks {missing} bytes (its reserve included).",
                "Free space there; replication resumes by itself.",
            )

    # -- what leaves the journal
    def retire(self, volumes: list[int] | None) -> None:
        """These volumes are a VM's for good; None: the journal is over. Raises Conflict, Unavailable. Again is fine."""
        if self.journal.taken.is_under_way:
            raise Conflict("Volumes are being taken out of this journal.", "Wait until that is over.")
        with self._alone.within(RETIRE_SECONDS_MAX):
            if volumes is not None:
                retire_volumes(self.journal, volumes)
                return
            receiver = self.receiver
            if receiver is not None:
                receiver.stop()
            self.journal.retire()
            self.old_disks.let_go_of_all()

    # -- retention
    def _hold_disks(self) -> bool:
        try:
            self.old_disks.hold()
        except FarshoreError as error:
            if self.disks_fault != str(error):
                _LOG.warning("the old disks cannot be held, and it is tried again: %s", error)
            self.disks_fault = str(error)
            return False
        self.disks_fault = ""
        return True

    def _retain(self) -> None:
        while not self.stopping.wait(self._retention_pause()):
            try:
                while self._hold_disks() and self._promote_once() and not self.promoter.pauses():
                    pass
            except (FarshoreError, OSError) as error:
                _LOG.warning("promotion stopped, and is tried again: %s", error)

    def _retention_pause(self) -> float:
        if not len(self.journal.ledger.catalogue):
            return 1.0
        return max(1.0, min(RETENTION_SECONDS_MAX, self.spec.history_seconds / 20))

    def _promote_once(self) -> bool:
        promoter, ledger = self.promoter, self.journal.ledger
        promoter.history_seconds = self.spec.history_seconds
        short = self.refusal is Refusal.NO_SPACE and self.journal.reserve.missing_bytes(ROOM_TO_RESUME_BYTES)
        if short and ledger.unsynced_since_ns is not None:
            # a sync must not be stopped by what is older than it: all but the newest checkpoint may go
            _LOG.warning("the store is full in a sync: the oldest checkpoints go before their time")
            promoter.history_seconds = -1.0
        with self._alone.turn():
            return promoter.step(time.time_ns())

    # -- end
    def stop(self) -> None:
        """Finish the write in hand, make durable, close."""
        self.stopping.set()
        self.hashes.stop()
        receiver = self.receiver
        if receiver is not None:
            receiver.stop()
        with self._turn:
            pass
        self._retention.join()
        self.takings.join()
        try:
            self.old_disks.close()
        except (FarshoreError, OSError) as error:
            _LOG.warning("how the old disks are left could not be noted: %s", error)
        self.journal.close()


class UnknownVpg(BadInput):
    """The greeting names another VPG."""

    refusal = Refusal.UNKNOWN_VPG
