"""Networks of VMs: a star of datagram sockets, walled off by its scope. The members are played by sockets of ours."""

from __future__ import annotations

import asyncio
import socket

import pytest

from farshore.errors import BadInput
from farshore.hypervisor.driver import StartRequest
from farshore.hypervisor.qemu.driver import QemuDriver
from farshore.hypervisor.qemu.network import Member, Network, plug
from farshore.model.vm import NicDefinition
from tests.service.vm_bench import QemuBench, in_loop


@pytest.fixture
def bench(tmp_path):
    """A VM that becomes the middle."""
    made = QemuBench(tmp_path)
    yield made
    asyncio.run(made.close())


def frame(text: bytes) -> bytes:
    """An Ethernet broadcast."""
    return b"\xff" * 6 + bytes.fromhex("525400000009") + b"\x88\xb5" + text.ljust(60, b".")


class Played:
    """A member of the network, at the end of its socket."""

    def __init__(self, network: Network, place: int) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(network.socket(place, "m")))
        self.socket.settimeout(2)
        self._to = str(network.socket(place, "c"))

    def send(self, text: bytes) -> None:
        """To all others."""
        self.socket.sendto(frame(text), self._to)

    def hears(self, text: bytes) -> bool:
        """Whether that comes; the VM's own firmware may speak too."""
        try:
            while frame(text) != self.socket.recv(65536):
                pass
        except TimeoutError:
            return False
        return True


def with_nic(bench: QemuBench, network: str = "lan"):
    """The bench's VM with an interface, and running: QEMU forwards nothing for a VM that is paused."""
    nic = NicDefinition(id="n0", mac="52:54:00:00:00:01", network=network)
    return bench.definition.model_copy(update={"nics": (nic,), "extra_arguments": ()})


@in_loop
async def test_members_reach_each_other_through_the_first_ones_qemu_and_late_ones_are_plugged_in(bench: QemuBench):
    """Two members from the start, a third while the middle runs; another network of the same scope hears nothing."""
    scope = bench.short / "run" / "own"
    lan = Network(scope, "lan")
    definition = with_nic(bench)
    lan.join(Member("vm-1", "n0"))
    lan.join(Member("vm-2", "n0"))
    # Joined before the start of the first one; it must be the same network then, not begun anew.
    bench.driver.processes.is_live, is_live = (
        (lambda vm_id: vm_id == "vm-2" or is_live(vm_id)),
        bench.driver.processes.is_live,
    )
    await bench.driver.start_vms([StartRequest(definition)], network_scope=scope)
    assert [member.vm_id for member in lan.members()] == ["vm-1", "vm-2"]
    lan.join(Member("vm-3", "n0"))
    await plug(lan, 2, bench.driver.processes.folder("vm-1").control)
    await plug(lan, 2, bench.driver.processes.folder("vm-1").control)  # twice is fine
    other = Network(scope, "other")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.bind(str(other.socket(1, "m")))
        second, third = Played(lan, 1), Played(lan, 2)
        second.send(b"from the second")
        assert third.hears(b"from the second")
        third.send(b"from the third")
        assert second.hears(b"from the third")
        stranger.settimeout(0)
        with pytest.raises(BlockingIOError):
            stranger.recv(1)
        second.socket.close()
        third.socket.close()
    bench.driver.processes.is_live = is_live
    other.socket(1, "m").unlink()
    await bench.driver.stop_vm("vm-1", force=True)
    assert not scope.exists()


@in_loop
async def test_vms_that_start_together_are_one_network_in_their_scope_and_leave_no_socket(bench: QemuBench):
    """Two VMs, two scopes with the same network's name: the sockets are others; after the last stop all are gone."""
    scopes = [bench.short / "run" / name for name in ("x", "y")]
    made = []
    for scope in scopes:
        pair = [with_nic(bench).model_copy(update={"id": f"{scope.name}-{n}", "disks": ()}) for n in (1, 2)]
        made += pair
        await bench.driver.start_vms([StartRequest(vm) for vm in pair], network_scope=scope)
        assert [member.vm_id for member in Network(scope, "lan").members()] == [vm.id for vm in pair]
    assert not {path.resolve() for path in scopes[0].iterdir()} & {path.resolve() for path in scopes[1].iterdir()}
    # A VM that is started again gets its old place.
    await bench.driver.stop_vm("x-2", force=True)
    await bench.driver.start_vms([StartRequest(made[1])], network_scope=scopes[0])
    assert [member.vm_id for member in Network(scopes[0], "lan").members()] == ["x-1", "x-2"]
    for vm in made:
        await bench.driver.stop_vm(vm.id, force=True)
    assert not any(scope.exists() for scope in scopes)


@in_loop
async def test_a_second_start_while_the_first_is_going_on_starts_nothing_and_keeps_the_network_whole(bench: QemuBench):
    """Two callers start the same two VMs at once, and a third of their network: one process and one place each."""
    scope = bench.short / "run" / "x"
    vms = [with_nic(bench).model_copy(update={"id": f"x-{n}", "disks": ()}) for n in (1, 2, 3)]
    pair = [StartRequest(vm) for vm in vms[:2]]
    begun: list[str] = []
    command = bench.driver.command
    bench.driver.command = lambda record, *rest: begun.append(record.definition.id) or command(record, *rest)
    another = QemuDriver(bench.driver.site_dir, bench.driver.run_dir, "tcg")
    another.command = bench.driver.command
    first, second, third = await asyncio.gather(
        bench.driver.start_vms(pair, network_scope=scope),
        another.start_vms(pair, network_scope=scope),
        another.start_vms([StartRequest(vms[2])], network_scope=scope),
    )
    assert sorted(begun) == ["x-1", "x-2", "x-3"]
    assert [summary.pid for summary in first] == [summary.pid for summary in second]
    assert {member.vm_id for member in Network(scope, "lan").members()} == {"x-1", "x-2", "x-3"}
    assert third[0].power == "running"
    for vm in vms:
        await bench.driver.stop_vm(vm.id, force=True)
    assert not scope.exists()


def test_a_scope_that_is_too_long_for_sockets_is_refused(tmp_path):
    """Before anything is started."""
    with pytest.raises(BadInput, match="too long"):
        Network(tmp_path / ("x" * 100), "lan")
