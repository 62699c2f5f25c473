"""The cloud's positions: up to where the CSMS has answered each outbox, and the dead letters it will not take.

`base` is the interface; `sqlite` and `memory` keep them, and `worker` runs either in a thread beside the event loop.
"""
