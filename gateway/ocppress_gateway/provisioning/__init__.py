"""A private certification authority for the link, in a folder of one's own: `ocppress ca`.

`certificates` makes keys and certificates, `folder` puts them beside ready configurations, `command` is the command line.
"""
