"""The steps of a request before a removal: filing, events, amending, deciding, impact, plan and approval."""
