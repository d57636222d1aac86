"""The order of events and replies on one monitor: what the vouch rule stands on."""

from __future__ import annotations

import asyncio
import json

import pytest

from farshore.hypervisor.block_layer.monitor import CommandFailed, Monitor, MonitorLost, MonitorTimeout
from tests.service.vm_bench import QemuBench, in_loop, until


class FakeQemu:
    """Answers `burst` with 50 events, the reply and 50 events, in one piece; `silence` never; `bad` with an error."""

    def __init__(self, path, *, late_event=False):
        self.path = path
        self.late_event = late_event

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))
        return self

    async def __aexit__(self, *_):
        self.server.close()

    async def _serve(self, reader, writer):
        greeting = {
            "QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}
        }
        if self.late_event:
            self.late_event = False
            writer.write(json.dumps({"event": "FOR_THE_ONE_BEFORE", "timestamp": {}}).encode() + b"\r\n")
        writer.write(json.dumps(greeting).encode() + b"\r\n")
        waiting = ""
        while piece := await reader.read(65536):
            waiting += piece.decode()
            while waiting:
                try:
                    told, end = json.JSONDecoder().raw_decode(waiting)
                except ValueError:
                    break
                waiting = waiting[end:].lstrip()
                if not self._answer(writer, told):
                    writer.close()
                    return
        writer.close()

    def _answer(self, writer, told):
        name = told["execute"]
        if name == "silence":
            return True
        answer = {"error": {"class": "GenericError", "desc": "no such thing"}} if name == "bad" else {"return": {}}
        events = [json.dumps({"event": "E", "data": {"n": n}, "timestamp": {}}).encode() for n in range(100)]
        lines = [json.dumps({**answer, "id": told.get("id")}).encode()]
        if name == "burst":
            lines = events[:50] + lines + events[50:]
        writer.write(b"\r\n".join(lines) + b"\r\n")
        return name != "hang-up"


@in_loop
async def test_every_event_before_a_reply_is_handled_before_its_caller_goes_on(tmp_path_factory):
    """All of it comes in one read, many times, beside other commands; and the order of the events is kept."""
    path = tmp_path_factory.mktemp("m") / "q"
    async with FakeQemu(path):
        seen: list[int] = []
        monitor = Monitor(path, lambda event: seen.append(event["data"]["n"]))
        await monitor.connect()
        for _ in range(50):
            seen.clear()
            at_reply = []

            async def ask(counts=at_reply):
                await monitor.run("burst")
                counts.append(len(seen))

            await asyncio.gather(ask(), monitor.run("other"))
            assert at_reply[0] >= 50
            await until(lambda: len(seen) == 100)
            assert seen == list(range(100))
        await monitor.close()


@in_loop
async def test_on_qemu_the_error_of_a_failed_mirror_is_handled_before_the_guests_write_returns(tmp_path):
    """The tap is killed; the write is made on our own monitor: when its answer is here, the loss is known. 15 times."""
    bench = QemuBench(tmp_path)
    try:
        vm = await bench.start()
        line = 'qemu-io -d /machine/peripheral/vd-a/virtio-backend "write -P 1 0 4096"'
        for _ in range(15):
            await vm.attach(bench.new_sinks())
            bench.lost.clear()
            bench.sinks["a"].kill()
            await vm.monitor.run("human-monitor-command", {"command-line": line})
            assert [disk for disk, _ in bench.lost] == ["a"]
            await vm.detach()
        await vm.close()
    finally:
        await bench.close()


@in_loop
async def test_every_command_has_a_bound_and_every_end_a_name(tmp_path_factory):
    """Silence, refusal and a hang-up are told apart; what waits for an event when the connection ends is told."""
    path = tmp_path_factory.mktemp("m") / "q"
    ended: list[str] = []
    async with FakeQemu(path):
        monitor = Monitor(path, None, ended.append)
        await monitor.connect()
        with pytest.raises(MonitorTimeout):
            await monitor.run("silence", bound_seconds=0.1)
        with pytest.raises(CommandFailed, match="no such thing"):
            await monitor.run("bad")
        with monitor.expect(lambda event: event["event"] == "NEVER") as never:
            await monitor.run("hang-up")
            with pytest.raises(MonitorLost):
                await asyncio.wait_for(never, 2)
        with pytest.raises(MonitorLost):
            await monitor.run("other")
        assert ended == ["QEMU hung up"]
        assert not monitor.connected
        await monitor.close()
    with pytest.raises(MonitorLost):
        await Monitor(path.parent / "none").connect()


@in_loop
async def test_an_event_for_the_client_before_us_does_not_make_a_live_vm_look_dead(tmp_path_factory):
    """QEMU writes an event that came between two clients before the second one's greeting: seen on 7.2 under load."""
    path = tmp_path_factory.mktemp("m") / "q"
    async with FakeQemu(path, late_event=True):
        monitor = Monitor(path)
        await monitor.connect()
        await monitor.run("other")
        await monitor.close()
