"""The journeys, each a short function from what is asked to a result: ask, edit, use a saved edit."""
