"""Images of the catalogue that keep themselves current: who asks the vendor, what is fetched, which file goes."""
