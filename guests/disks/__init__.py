"""Disks that change hands, and disks that nobody has or nobody finds."""
