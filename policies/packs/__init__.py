"""Rule packs that ship: YAML, one file per regime, every rule with its citation and date."""
