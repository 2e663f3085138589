"""Pages that exist for tests only: they are composed as docs/ui.md says, and show what the frame does with them."""
