"""Policy packs: YAML files of rules, tables and deadlines, read and checked."""
