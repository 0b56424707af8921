"""How a plan is chosen for one request. Pure: the same request, link and random generator give the same choice."""
