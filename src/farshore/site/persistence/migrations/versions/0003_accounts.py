"""Accounts: bound to VPGs, sessions that end with their secret; events: from where, and with what result."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("account", sa.Column("vpgs", sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("account", sa.Column("stamp", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(sa.text("UPDATE account SET role = 'administrator' WHERE role = 'admin'"))
    op.add_column("event", sa.Column("origin", sa.Text(), nullable=False, server_default=""))
    op.add_column("event", sa.Column("result", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    for table, column in (("event", "result"), ("event", "origin"), ("account", "stamp"), ("account", "vpgs")):
        op.drop_column(table, column)
    op.execute(sa.text("UPDATE account SET role = 'admin' WHERE role = 'administrator'"))
