"""Images that kvmweb fetches from elsewhere: which addresses it may ask, how bytes come, are unpacked and checked."""
