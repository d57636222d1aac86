"""The demo that `make demo` plays: real guests, two sites, a failover test that verifies itself."""
