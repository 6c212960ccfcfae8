"""One decision: each pack's rules applied to a request, claims combined, holds respected."""
