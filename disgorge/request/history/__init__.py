"""History: the timeline of a request, earlier requests for the same items, lost facts."""
