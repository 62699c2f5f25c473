"""`ocppress doctor`: the path of one side, edge or cloud, checked step by step, with a remedy for whatever fails. It changes nothing and shows no secret.

    probes, certificates, broker, csms, running ──facts──► judging… ──Finding──► command
         look, and decide nothing                          decides, and looks at nothing

`facts` is what is looked for, `edge` and `cloud` say in which order, and which step needs which (`steps`).
"""
