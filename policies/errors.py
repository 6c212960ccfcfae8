"""Errors of policies.

PolicyError
├── BadPack      a pack with an unknown field, a condition that does not parse, or no rule at all
└── BadRequest   a request that cannot be decided as it stands
"""


class PolicyError(Exception):
    """A problem with a request or with the rules it is judged by."""


class BadPack(PolicyError):  # noqa: N818 (the name says what is the matter)
    """A pack that cannot be used; names the file, the rule and the field."""


class BadRequest(PolicyError):  # noqa: N818
    """A request that is not well formed; names the field."""
