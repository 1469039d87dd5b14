"""Open-loop load: requests leave at their time, whatever became of others, and every one is accounted for."""
