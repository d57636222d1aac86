"""What a site knows and keeps: VPGs, peers and pairing, tasks, tests, alerts, settings, and its way to appliances."""
