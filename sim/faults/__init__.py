"""What faults do in a rehearsal: a module per family of core.faults, and the schedule that calls them."""
