"""The two machines in virtual time, in one thread, under a seed: the same core that runs live.

`world` has the clock, the link with its faults, and both machines; `actors` has stations and a CSMS that keep a record of all they said and heard.
"""
