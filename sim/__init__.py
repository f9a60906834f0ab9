"""The rehearsal: the fleet in virtual time."""
