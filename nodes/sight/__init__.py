"""What an edge shows of itself: the last half hour in memory, one document of it, and the page that draws it."""
