"""Real managers of sites in folders of a test: made, started as processes, asked, killed. No appliance runs."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from farshore.cli.site_folder import NewSite, init_site
from farshore.model.site import SiteConfig

USER, PASSWORD = "admin", "a password of the test"
START_SECONDS = 30.0
SOURCE = str(Path(__file__).parents[1] / "src")


def free_ports(count: int) -> tuple[int, ...]:
    """Ports of 127.0.0.1 that nobody listens on at the moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = tuple(found.getsockname()[1] for found in sockets)
    for found in sockets:
        found.close()
    return ports


@dataclass
class RunningManager:
    """A site and its manager's process."""

    folder: Path
    name: str
    process: subprocess.Popen[str] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the site."""
        api, peer, appliance = free_ports(3)
        ports = {"api_port": api, "peer_port": peer, "appliance_port": appliance}
        init_site(self.folder, NewSite(self.name, **ports, user=USER, password=PASSWORD))

    @property
    def config(self) -> SiteConfig:
        """Its site.json."""
        return SiteConfig.load(self.folder)

    def launch(self) -> subprocess.Popen[str]:
        """Start the process and do not wait."""
        command = [sys.executable, "-m", "farshore.manager", str(self.folder)]
        environment = os.environ | {"PYTHONPATH": SOURCE}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        return self.process

    def start(self) -> None:
        """Start the process and wait until it answers."""
        process = self.launch()
        deadline = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
            try:
                self.sign_in()
            except httpx.TransportError:
                assert time.monotonic() < deadline, (self.folder / "log" / "manager.log").read_text()[-3000:]
                time.sleep(0.1)
            else:
                return

    def sign_in(self) -> None:
        """Get a session."""
        with self.client() as client:
            reply = client.post("/v1/session/add", auth=(USER, PASSWORD))
            assert reply.status_code == 200, reply.text
            self.headers = {"x-zerto-session": reply.headers["x-zerto-session"]}

    def client(self) -> httpx.Client:
        """A client of the API that trusts the site's CA."""
        context = ssl.create_default_context(cafile=str(self.folder / "identity" / "ca.crt"))
        url = f"https://127.0.0.1:{self.config.api_port}"
        return httpx.Client(base_url=url, verify=context, headers=self.headers, trust_env=False, timeout=30)

    def get(self, path: str) -> Any:
        """GET, as JSON."""
        with self.client() as client:
            reply = client.get(path)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def post(self, path: str, body: Any = None) -> httpx.Response:
        """POST a JSON body."""
        with self.client() as client:
            return client.post(path, json=body)

    def kill(self, signum: int = signal.SIGKILL) -> int:
        """End the process and wait for it; its exit code."""
        assert self.process is not None
        self.process.send_signal(signum)
        try:
            code = self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
        self.process = None
        return code
