"""The two machines in virtual time, in one thread, under a seed: the same core that runs live.

`centre` has the clock, the cloud and the CSMS's sockets; `world` an edge with its link and the link's faults, alone or beside others; `sim`
what passes an edge's SIM, and the ledger and the plan that live with it; `actors` has stations and a CSMS that keep a record of all they said
and heard.
"""
