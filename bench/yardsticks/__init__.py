"""Handlers that are copied beside an untrimmed SDK and run there: the floor, and the same check with rdklib."""
