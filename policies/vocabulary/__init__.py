"""The words that facts and rules may use: licenses, legal bases, impact, and suggestions for misspelled ones."""
