"""Secrets of hosts' libvirts: passphrases of encrypted disks, logins of pools. Their values pass through, and stay not."""
