"""`isthmus doctor`: facts gathered at the rim (`*_facts`), judged by pure functions (`*_checks`)."""
