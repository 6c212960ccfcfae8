"""The beginning of a pack: a right, exceptions in a table, a period, a duty of a refusal and cases; it loads as it is.

What must be filled in is marked ``read: false``, so that until then the pack sends every request to a person.

>>> "pack: acme-terms" in begin("acme-terms").splitlines()
True
"""

from policies.errors import BadPack
from policies.packs.conditions import IMPACT_NAMES, REQUEST_NAMES
from policies.packs.load import load_packs
from policies.packs.rules import RESERVED_PACKS, is_name
from policies.taxonomy import Refusal

_TEXT = """\
# A policy pack: the rules of one law, contract or policy, as data. Fill in what is in CAPITALS, then see it at work:
#   disgorge policy test --packs NAME.yaml       runs the cases at the end of this file
#   disgorge policy list --packs NAME.yaml       lists the rules, and those whose text was not read
#   disgorge request file --packs NAME.yaml --regime NAME ...
#   disgorge request decide REQUEST --packs NAME.yaml       and the same for `event`, `amend` and `extend`
# --packs takes this file, or a folder of packs; it stands in the place of those that are shipped.
#
# `read: false` says that the text of the source was not read. Such a rule only sends to a person; it never grants or
# denies. Once you have read the text: take `read: false` out and let the rule say its `outcome`.
pack: NAME
title: TITLE OF THE LAW, CONTRACT OR POLICY
version: "1"
applies: '"NAME" in request.regimes'

# What else a rule may ask for. People give it with `--fact acts_for_subject=yes`; what is not listed is refused.
facts:
  acts_for_subject: {type: bool, words: whoever asks is authorized to act for the person}
  # A text may be one of a few; here, of the rows of the table below.
  kept_under: {type: text, one_of: [TAX, COMMERCE], words: the law that a person found to require that the data is kept}

# A table: one rule written once, with `each`, for several rows. `{law}` stands for what the row says under `law`,
# `{row}` for the row's own name. Every column is used, and every row has the columns that its rules use.
tables:
  exceptions:
    TAX: {law: ARTICLE OR SECTION OF THE TAX LAW, since: 2000-01-01, read: false}
    COMMERCE: {law: ARTICLE OR SECTION OF THE COMMERCIAL LAW, since: 2000-01-01, read: false}

# The rules. `when` is a condition in CEL. It reads `today`, and of
#   request: REQUEST_NAMES
#   impact: IMPACT_NAMES
# A fact that may be missing is asked for with `has(request.facts.a_fact)` first.
rules:
  # The right: who may have what removed, and how thoroughly. Once read: `then: {outcome: granted, category: ...`.
  - id: right
    when: request.standing == "data-subject" || (has(request.facts.acts_for_subject) && request.facts.acts_for_subject)
    words: WHO MAY HAVE WHICH DATA REMOVED, in one or two sentences.
    citation: ARTICLE OR SECTION
    dated: 2000-01-01 # the day the source took effect
    read: false
    then:
      category: removal
      guarantee: exact # or approximate; at least this is owed
      scope: influence # of the data on every model; whole-lineage takes everything built on it
      approvals: 1
      evidence: [lineage-closure, residue]

  # The exceptions, when the request is refused; without a table, a rule has no `each` and no {places}. Once read:
  # `then: {outcome: denied, refusal: claim-not-covered}`. Other reasons of refusal:
  # REFUSALS.
  # A row that was not read cannot deny: where some were read, those get a table and a rule of their own.
  - id: kept
    each: exceptions
    when: has(request.facts.kept_under) && request.facts.kept_under == "{row}"
    words: WHY DATA THAT {law} WANTS KEPT IS NOT REMOVED.
    citation: "{law}"
    dated: "{since}"
    read: "{read}"

  # The period. Also `months: 1`, `business_days: 10` with `calendar: US`; `roll: true` moves a last day off a holiday.
  - id: answer-in-time
    when: "true"
    words: BY WHEN THE REQUEST IS ANSWERED, and whether that can be extended.
    citation: ARTICLE OR SECTION
    dated: 2000-01-01
    read: false
    then:
      deadline: {days: 30, extension: {days: 30, told_within_days: 30}}
      notices: ["the person who asked: what was done"]

  # The duty of a refusal: what is owed to somebody whose request is refused, and by when. `done_by` is the event that
  # fulfills it, recorded with `disgorge request event`; `disgorge request event --kinds` lists them.
  - id: refuse-in-time
    when: "true"
    words: WHAT A PERSON IS TOLD WHOSE REQUEST IS REFUSED.
    citation: ARTICLE OR SECTION
    dated: 2000-01-01
    read: false
    then:
      on_refusal:
        - words: "the person who asked: that nothing is removed, the reasons, and how to complain"
          by: {days: 30}
          done_by: refusal-told

# The cases of this pack: a request, what it reaches, a day, and what must be decided. They are no part of the rules: a
# new case leaves every decision as it is. Name the public source of a case where it has one.
defaults:
  today: 2026-03-03
  request:
    standing: data-subject
    ground: privacy
    regime: NAME
    received: 2026-03-02
    identity_verified: true
    selectors: {subject: somebody}
  impact: {items: 7, subjects: 1, components: [adapter-3], shards: [{name: holder-3}]}

cases:
  # Once the texts are read and the right grants, this says `outcome: granted`.
  - name: a person who asks has the right, and a person looks while its text was not read
    expect: {outcome: needs-review, guarantee: exact, deadline: 2026-04-01, rules: [NAME/right]}

  - name: somebody else has it only on the person's behalf
    request: {standing: customer}
    expect: {outcome: needs-review, not_rules: [NAME/right]}

  - name: an agent who is authorized may ask
    request: {standing: customer, facts: {acts_for_subject: true}}
    expect: {outcome: needs-review, rules: [NAME/right]}

  # Once the tax law is read and the rule denies, this says `outcome: denied`.
  - name: data that a law wants kept is not removed unless a person finds that it may be
    request: {facts: {kept_under: TAX}}
    expect: {outcome: needs-review, rules: [NAME/kept-tax]}

  - name: the law that wants the data kept may be another one
    request: {facts: {kept_under: COMMERCE}}
    expect: {outcome: needs-review, rules: [NAME/kept-commerce]}

  - name: a request that matches nothing is refused, and the person is told by the 30th day
    impact: {items: 0, subjects: 0, components: [], shards: []}
    expect: {outcome: denied, due: 2026-04-01, duties: ["by 2026-04-01: the person who asked: that nothing is removed"]}
"""
_REFUSALS = [each for each in Refusal if each is not Refusal.CLAIM_NOT_COVERED]


def begin(name: str) -> str:
    """Return the text of a new pack; :class:`BadPack` for a name that no pack can have, or that a shipped one has."""
    if not is_name(name):
        raise BadPack(f"{name[:60]!r} is no name for a pack; use lower case, digits and hyphens, such as acme-terms")
    if name in RESERVED_PACKS or name in {pack.pack for pack in load_packs()}:
        raise BadPack(f"the name {name} is taken by a pack that is shipped, or by the house; choose another")
    return _filled(_TEXT).replace("NAME", name)


def _filled(text: str) -> str:
    """Return the text with the lists that its comments name, each as this software has it."""
    lists = {"REFUSALS": _REFUSALS, "REQUEST_NAMES": REQUEST_NAMES, "IMPACT_NAMES": IMPACT_NAMES}
    for place, listed in lists.items():
        text = text.replace(place, ", ".join(listed))
    return text
