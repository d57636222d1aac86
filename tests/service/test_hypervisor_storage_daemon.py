"""The hypervisor contract with qemu-storage-daemon, and what this driver lacks."""

from __future__ import annotations

import asyncio

import pytest

from farshore.errors import Unsupported
from farshore.model.vm import NicDefinition
from tests.service.hypervisor_contract import HypervisorContract
from tests.service.vm_bench import StorageDaemonBench, in_loop


@pytest.fixture
def bench(tmp_path):
    """A daemon with two disks."""
    made = StorageDaemonBench(tmp_path)
    yield made
    asyncio.run(made.close())


class TestStorageDaemon(HypervisorContract):
    """See hypervisor_contract."""

    @in_loop
    async def test_what_it_lacks_is_refused_in_words(self, bench: StorageDaemonBench):
        """Yank, network interfaces, iothreads."""
        vm = await bench.start()
        with pytest.raises(Unsupported, match="Kill the tap"):
            await vm.yank("a")
        await vm.close()
        nic = NicDefinition(id="n", mac="52:54:00:00:00:01", network="lan")
        threads = bench.disks(iothread=True)
        for wrong in ({"nics": (nic,)}, {"disks": threads}):
            with pytest.raises(Unsupported):
                await bench.driver.start_vm(bench.definition.model_copy(update={"id": "x", **wrong}))
        assert set(bench.driver.lacks) >= {"shim", "yank", "network", "console"}
