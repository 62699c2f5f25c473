"""What the two durable stores have in common, the edge's outbox and the cloud's positions.

`desk` decides what is written when, and what to do while the disk fails; `thread` runs a desk beside the event loop, a virtual clock runs it
in simulation. `store` is what a desk asks of a store, in blocking calls; `database` and `files` are SQLite and the files under it.
"""
