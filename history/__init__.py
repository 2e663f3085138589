"""What hosts, guests and pools used, for a year, in files of a fixed size.

A low room: it knows kinds of things and their numbers, no rows. The watcher writes (`store.record`), requests read
(`store.read`), and neither asks libvirt for it.
"""
