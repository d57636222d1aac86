"""Calls to an appliance that are made now or owed: a debt is paid when its site answers (`row_keeping.pay`)."""

from __future__ import annotations

from farshore.errors import FarshoreError
from farshore.operations.engine import in_thread, site
from farshore.site.debts import Debt


async def call_or_owe(debt: Debt, within: float, final: tuple[type[FarshoreError], ...] = ()) -> FarshoreError | None:
    """Make the call within that many seconds; what stands in its way is given, and the call is owed. Twice: the same.

    Raises the errors of the kinds in `final`: with those nothing is owed.
    """
    try:
        await site().appliances.order(debt.site_id, debt.call, within=within, **debt.arguments)
    except final:
        raise
    except FarshoreError as error:
        await in_thread(site().debts.owe, debt)
        return error
    return None


async def told_later(debt: Debt, error: FarshoreError) -> str:
    """Words for a person: that a call is owed, and why."""
    return f"Site {await in_thread(site().site_name, debt.site_id)} is told when it answers ({error.fact})."
