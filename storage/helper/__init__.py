"""The root helper: files in the pools are root's, the processes that listen on the network are not.

A small process runs as root, listens on a unix socket and knows a few fixed verbs inside configured directories; the
table is in `verbs.py`. Standard library only: it stays small, and what runs as root can be read in one sitting.
"""
