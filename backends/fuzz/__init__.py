"""Generated requests fired at a live fleet: what is wrong with the answers, what is the simplest request that shows it, and what is kept of it."""
