"""The controlled words that rules compare: licenses, legal bases, sources, and suggestions for misspelled ones."""
