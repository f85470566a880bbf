"""Plugins for the scheduler of mini-kubernetes; docs/scheduler.md tells how to run them."""
