"""Who a site is: its own CA, its certificate, whom it trusts, TLS contexts from these, and the pairing token.

Nothing is named here: `certificates` and `new_trust` need the library of certificates (some 10 MB a process); `folder`,
`trust` and `contexts`, which are all that watcher and carriers use, do without.
"""
