"""The addresses of a lab: the product's own ports on the first free pair, other ports only when there is no pair."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from farshore.errors import Unavailable
from farshore.lab.addresses import API_PORT, LabAddresses, SiteAddress, choose_addresses, claim_pair, port_is_free


def test_a_lab_on_an_empty_machine_gets_the_first_pair_and_the_products_ports():
    """127.0.0.1 and 127.0.0.2, port 9669, and no remark."""
    chosen = choose_addresses(is_free=lambda _host, _port: True)
    assert (chosen.north.host, chosen.south.host) == ("127.0.0.1", "127.0.0.2")
    assert chosen.north.api_port == chosen.south.api_port == API_PORT
    assert chosen.remark == ""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("port", [9669, 9670, 9671, 9680, 9681])
def test_one_taken_port_moves_the_whole_lab_to_the_next_pair(host: str, port: int):
    """Whichever port of whichever site is taken, both move on, on the same ports."""
    chosen = choose_addresses(is_free=lambda h, p: (h, p) != (host, port))
    assert (chosen.north.host, chosen.south.host) == ("127.0.0.3", "127.0.0.4")
    assert chosen.north.api_port == API_PORT
    assert "127.0.0.3" in chosen.remark


def test_another_labs_addresses_are_not_taken_while_it_is_down():
    """A lab that was killed and will be started again keeps its pair."""
    chosen = choose_addresses({"127.0.0.2"}, is_free=lambda _host, _port: True)
    assert chosen.north.host == "127.0.0.3"


def test_with_the_port_taken_everywhere_other_ports_are_used_and_said():
    """Something that listens on all addresses does not stop the demo; one line says which ports it uses."""
    chosen = choose_addresses(is_free=lambda _host, port: port != API_PORT)
    assert chosen.north.host == "127.0.0.1"
    assert chosen.north.api_port == chosen.south.api_port != API_PORT
    assert str(chosen.north.api_port) in chosen.remark
    assert len(set(chosen.north.ports())) == 5


def test_without_any_free_pair_it_is_refused():
    """The error says how to see what listens."""
    with pytest.raises(Unavailable, match="9669"):
        choose_addresses(is_free=lambda _host, _port: False)


@pytest.mark.parametrize("listen_on", ["127.0.0.61", "0.0.0.0"])
def test_a_listener_on_the_address_or_on_all_addresses_takes_the_port(listen_on: str):
    """A real listener is seen; one that has ended, with its last connection lingering, is not in the way."""
    with socket.create_server((listen_on, 0)) as server:
        port = server.getsockname()[1]
        assert not port_is_free("127.0.0.61", port)
        with socket.create_connection(("127.0.0.61", port)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first, so its TIME_WAIT stays
            client.recv(1)
    assert port_is_free("127.0.0.61", port)


def test_a_lab_is_put_elsewhere_when_a_real_listener_has_its_port():
    """With real sockets: a port of the pair that would be chosen is taken, so another pair is."""
    first = choose_addresses()
    with socket.create_server((first.north.host, first.north.api_port)):
        second = choose_addresses()
    assert (second.north.host, second.north.api_port) != (first.north.host, first.north.api_port)


def test_two_labs_that_start_at_the_same_time_do_not_take_one_pair():
    """A pair that another process has chosen is refused until that process ends, though nothing listens there yet."""
    port = 20000 + os.getpid() % 40000  # a claim lasts as long as its process: another run of this test has one too
    pair = LabAddresses(SiteAddress("127.0.0.251", port), SiteAddress("127.0.0.252", port))
    program = (
        "import sys\n"
        "from farshore.lab.addresses import LabAddresses, SiteAddress, claim_pair\n"
        f"pair = LabAddresses(SiteAddress('127.0.0.251', {port}), SiteAddress('127.0.0.252', {port}))\n"
        "print(claim_pair(pair), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        assert not claim_pair(pair)
        other.stdin.close()
        other.wait(10)
    assert claim_pair(pair)
