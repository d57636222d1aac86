"""The appliance: what moves the data on a host.

A small watcher (this package's process) takes orders over mutual TLS, speaks to the hypervisors, vouches for markers
and starts the carriers: per VPG a tap and a sender where it is protected, a journal and views where it is recovered.
Carriers share nothing between VPGs and may be killed at any time; what a manager ordered is kept in the site's
folder, and the appliance goes on by itself without any manager.

Managers reach it through `client` only.
"""
