"""Looking after a host together with its guests: maintenance, the order in which they start, restart and power-off."""
