"""A journal's carrier lets its journal go when its watcher is gone, however that ended."""

from __future__ import annotations

import json

from tests.service.test_receiver import Carrier, carrier, identities  # noqa: F401 (fixtures)


def test_a_watcher_that_dies_before_it_reads_its_answers_leaves_no_carrier_behind(carrier: Carrier) -> None:  # noqa: F811
    """The carrier writes into a connection that nobody has any more: it ends all the same, and a next one may write."""
    carrier.call("status")
    ask = json.dumps({"id": 1, "call": "status", "args": {}}).encode() + b"\n"
    carrier.control.sendall(ask * 200)
    carrier.forget()
    assert carrier.process.returncode == 0
    carrier.start()
    carrier.wait_for(lambda status: status["state"] == "idle")
