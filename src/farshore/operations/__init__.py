"""What operators ask for: one durable workflow a file, that reads like a runbook. Each step is in steps/."""
