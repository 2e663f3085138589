"""Keys of those who sign lists of checksums, and whether a list is signed by one of them."""
