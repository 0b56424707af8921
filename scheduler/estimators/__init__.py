"""What is believed about links and queues, learned from what was measured. Pure: time comes in as an argument."""
