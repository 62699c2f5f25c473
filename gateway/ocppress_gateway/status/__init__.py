"""What `ocppress status` and `ocppress dead` say: pure functions from snapshots to lines for people and data for `--json`."""
