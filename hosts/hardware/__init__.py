"""What a machine is made of, as libvirt tells it: details, devices."""
