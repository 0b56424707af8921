"""Scenario files: a fleet, its links, its clients and its faults as data that people write."""
