"""The autoscaler as a process of its own."""
