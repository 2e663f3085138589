"""What the agent inside a guest says of it: kept in rows, shown on the guest's page, over REST."""
