"""`ocppress estimate`: a month on the SIM, by plan and by setting, of a site in words or of what a log holds.

site or log ──cases──► one run of the simulation each ──figures──► bytes, freshness, money ──tables
"""
