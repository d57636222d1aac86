"""The NBD protocol, once: numbers, handshake, requests, a small client, a threaded read-only server.

Shared by the tap (its own asyncio server over `handshake`), the views (`server`), the sync and the tests (`client`).
All numbers on this wire are big-endian; sizes and offsets are bytes. TLS and extended headers are not spoken: all
our NBD connections are unix sockets on one machine.
"""
