"""Open-loop load: requests are sent on schedule, whatever happens to others, and each result is recorded."""
