"""Benchmarks: ours beside a peer in the same run, as ratios (`python -m benchmarks [NAME...]`, docs/benchmarks.md)."""
