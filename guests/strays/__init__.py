"""Image files that lie in no pool: beside the disks of guests, and in directories below pools."""
