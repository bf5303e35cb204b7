"""How fast it is, on this machine: `python -m benchmarks`. docs/benchmarks.md has the words."""
