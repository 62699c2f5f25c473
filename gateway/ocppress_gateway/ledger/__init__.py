"""Around `core.ledger` and `core.plan`: where they are kept, what reads the counters, and the task that does both."""
