"""Secrets of hosts' libvirts: passphrases of encrypted disks, logins of pools. Values pass through and do not stay."""
