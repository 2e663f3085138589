"""Every definition that a guest had: who changed it, what differs, and how an older one is put back."""
