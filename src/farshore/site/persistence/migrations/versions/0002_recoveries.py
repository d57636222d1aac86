"""Failovers and moves: the time left in Before Commit, and calls that are owed to a site that did not answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "before_commit",
        sa.Column("vpg_id", sa.Text(), nullable=False),
        sa.Column("seconds_left", sa.Float(), nullable=False),
        sa.Column("saved_ns", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("vpg_id", name=op.f("pk_before_commit")),
    )
    op.create_table(
        "debt",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("vpg_id", sa.Text(), nullable=False),
        sa.Column("site_id", sa.Text(), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_debt")),
        sa.UniqueConstraint("key", name=op.f("uq_debt_key")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("debt")
    op.drop_table("before_commit")
