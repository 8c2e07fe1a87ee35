"""The rendered world: scene specifications, renderer, edits, two-way grammar, knowledge base and corpora."""
