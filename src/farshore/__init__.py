"""Farshore: continuous disaster recovery for virtual machines on KVM."""

__version__ = "0.1.0"
