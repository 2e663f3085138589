"""Install trees: an image's files at /tree/<iso>/, read from the image, for the networks that somebody chose."""
