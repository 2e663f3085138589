"""What does not fit together on a host: guests without their disks, and files of guests that are gone."""
