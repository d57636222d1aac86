"""The command line of a VM's QEMU, made from its definition."""

from __future__ import annotations

import re

from farshore.hypervisor.block_layer import names
from farshore.hypervisor.block_layer.blockdevs import blockdev_arguments, escaped, program
from farshore.hypervisor.processes import StartRecord, VmFolder
from farshore.hypervisor.qemu.network import Member, Network, netdev_option

_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def command_line(record: StartRecord, folder: VmFolder, accelerator: str, paused: bool) -> list[str]:
    """QEMU's arguments. The interfaces must have their places already (network.plan). Raises Unsupported."""
    definition = record.definition
    arguments = [
        program("qemu-system-x86_64"),
        *("-name", f"guest={escaped(definition.name)}"),
        *("-machine", f"{definition.machine or 'q35'},accel={accelerator}"),
        *("-m", str(definition.memory_mib)),
        *("-smp", str(definition.cpus)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-pidfile", str(folder.pid_file)),
    ]
    if _UUID.match(definition.id):
        arguments += ["-uuid", definition.id]
    if paused:
        arguments.append("-S")
    arguments += _monitors(folder)
    arguments += _boot(record)
    arguments += blockdev_arguments(definition, record.overlays, "-blockdev")
    for disk in definition.disks:
        device = f"virtio-blk-pci,id={names.device(disk.id)},drive={names.disk_node(disk.id)}"
        if disk.iothread:
            arguments += ["-object", f"iothread,id=io-{disk.id}"]
            device += f",iothread=io-{disk.id}"
        arguments += ["-device", device]
    for nic in definition.nics:
        network = Network(record.network_scope, nic.network)
        for netdev in network.netdevs(Member(definition.id, nic.id)):
            arguments += ["-netdev", netdev_option(netdev)]
        arguments += ["-device", f"virtio-net-pci,id=nic-{nic.id}-device,netdev=nic-{nic.id},mac={nic.mac},romfile="]
    return [*arguments, *definition.extra_arguments]


def _monitors(folder: VmFolder) -> list[str]:
    """One for our commands, one for yank out of band, one for short use (power) by whoever comes."""
    arguments: list[str] = []
    for name, socket in (("commands", folder.commands), ("oob", folder.out_of_band), ("control", folder.control)):
        arguments += ["-chardev", f"socket,id=monitor-{name},path={escaped(socket)},server=on,wait=off"]
        arguments += ["-mon", f"chardev=monitor-{name},mode=control"]
    return arguments


def _boot(record: StartRecord) -> list[str]:
    definition = record.definition
    arguments: list[str] = []
    if definition.kernel:
        arguments += ["-kernel", definition.kernel]
        if definition.initrd:
            arguments += ["-initrd", definition.initrd]
        if definition.append:
            arguments += ["-append", definition.append]
    if record.serial_log is not None:
        record.serial_log.parent.mkdir(parents=True, exist_ok=True)
        arguments += [
            "-chardev",
            f"file,id=serial,path={escaped(record.serial_log)},append=on",
            "-serial",
            "chardev:serial",
        ]
    return arguments
