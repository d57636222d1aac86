"""Who a site is: its own CA, its certificate, whom it trusts, TLS contexts from these, and the pairing token."""

from farshore.identity.certificates import Identity, create_identity, fingerprint
from farshore.identity.contexts import client_context, pairing_context, server_context
from farshore.identity.trust import forget_peer, peer_site_id, trust_peer, trusted_peers

__all__ = [
    "Identity",
    "client_context",
    "create_identity",
    "fingerprint",
    "forget_peer",
    "pairing_context",
    "peer_site_id",
    "server_context",
    "trust_peer",
    "trusted_peers",
]
