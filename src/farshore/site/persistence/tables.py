"""The tables of a site's database. Times are unix nanoseconds, identifiers are text, enumerations their numbers.

Two partial unique indexes carry rules of the house: one changing operation per VPG at a time (G8, G12), and one VPG
of a name among those that are not being removed.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

LIVE_TASK_STATES = (1, 2, 3, 7)
"""InProgress, WaitingForUserInput, Paused, Cancelling."""

_LIVE = sa.text(f"changing = 1 AND state IN {LIVE_TASK_STATES}")
_NAMED = sa.text("phase <> 'released'")

vpg = sa.Table(
    "vpg",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("protected_site_id", sa.Text, nullable=False),
    sa.Column("recovery_site_id", sa.Text, nullable=False),
    sa.Column("owner_site_id", sa.Text, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("phase", sa.Text, nullable=False),  # creating, active, removing; released: gone, its peer is to be told
    sa.Column("body", sa.JSON, nullable=False),  # the Vpg record as model.vpg writes it
    sa.Index("uq_vpg_name", "name", unique=True, sqlite_where=_NAMED, postgresql_where=_NAMED),
)

peer = sa.Table(
    "peer",
    metadata,
    sa.Column("site_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("peer_address", sa.Text, nullable=False),  # host:port of its manager
    sa.Column("appliance_address", sa.Text, nullable=False),  # host:port of its appliance
    sa.Column("paired_ns", sa.BigInteger, nullable=False),
    sa.Column("heard_ns", sa.BigInteger, nullable=False),
)

account = sa.Table(
    "account",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),  # user or client
    sa.Column("role", sa.Text, nullable=False),  # viewer, operator or administrator
    sa.Column("secret_hash", sa.Text, nullable=False),  # argon2
    sa.Column("vpgs", sa.JSON, nullable=False, server_default="[]"),  # the VPGs that it is bound to; none: all
    sa.Column("stamp", sa.BigInteger, nullable=False, server_default="0"),  # when the secret was set: a session ends
)

task = sa.Table(
    "task",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # GUID.GUID of the site that got the call
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("state", sa.Integer, nullable=False),
    sa.Column("progress", sa.Integer, nullable=False),
    sa.Column("changing", sa.Integer, nullable=False),  # 1: one at a time per VPG
    sa.Column("vpg_id", sa.Text, nullable=False),  # empty: of no VPG
    sa.Column("vpg_name", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("runs_at", sa.Text, nullable=False),  # site whose manager carries it out
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),  # what it is doing, or did, in words
    sa.Column("started_ns", sa.BigInteger, nullable=False),
    sa.Column("completed_ns", sa.BigInteger),
    sa.Index("uq_task_changing", "vpg_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
    sa.Index("ix_task_vpg_id", "vpg_id"),
    sa.Index("ix_task_started_ns", "started_ns"),
)

test = sa.Table(
    "test",
    metadata,
    sa.Column("task_id", sa.Text, primary_key=True),  # of the FailoverTest that began it
    sa.Column("vpg_id", sa.Text, nullable=False),
    sa.Column("operation", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # starting, running, stopping, ended, failed
    sa.Column("checkpoint_id", sa.Text, nullable=False),
    sa.Column("vms", sa.JSON, nullable=False),  # recovered VMs: [{vm_id, name, serial_log}]
    sa.Column("started_ns", sa.BigInteger, nullable=False),
    sa.Column("ended_ns", sa.BigInteger),
    sa.Column("stop_task_id", sa.Text),
    sa.Column("success", sa.Integer),
    sa.Column("summary", sa.Text),
    sa.Index("ix_test_vpg_id", "vpg_id"),
)

alert = sa.Table(
    "alert",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),  # what it is about: one alert for it at a time
    sa.Column("level", sa.Text, nullable=False),  # warning or error
    sa.Column("vpg_id", sa.Text, nullable=False),
    sa.Column("fact", sa.Text, nullable=False),
    sa.Column("remedy", sa.Text, nullable=False),
    sa.Column("raised_ns", sa.BigInteger, nullable=False),
    sa.Column("dismissed", sa.Integer, nullable=False, server_default="0"),  # 1: a person has seen to it
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("vpg_id", sa.Text, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("occurred_ns", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.Text, nullable=False, server_default=""),  # an audited one: the address that it came from
    sa.Column("result", sa.Text, nullable=False, server_default=""),  # and what was answered
)

pairing_token = sa.Table(
    "pairing_token",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("expires", sa.BigInteger, nullable=False),  # unix seconds
    sa.Column("used_by", sa.Text),  # fingerprint of the caller's CA
)

before_commit = sa.Table(
    "before_commit",
    metadata,
    sa.Column("vpg_id", sa.Text, primary_key=True),
    sa.Column("seconds_left", sa.Float, nullable=False),  # counted down by the monotonic clock
    sa.Column("saved_ns", sa.BigInteger, nullable=False),
    sa.Column("told", sa.Integer, nullable=False),  # 1: alerted at half-time, 2: shortly before the end
)

debt = sa.Table(
    "debt",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("key", sa.Text, nullable=False, unique=True),  # what it is for: owed once
    sa.Column("vpg_id", sa.Text, nullable=False),
    sa.Column("site_id", sa.Text, nullable=False),  # whose appliance is to be called when it answers
    sa.Column("call", sa.Text, nullable=False),
    sa.Column("arguments", sa.JSON, nullable=False),
)

setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.JSON, nullable=False),
)
