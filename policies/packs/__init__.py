"""Policy packs: YAML files of rules, tables and facts, read and checked; conditions and calendars that rules use."""
