//! Dockerfile text to a syntax tree with byte spans, words and their expansion, ignore patterns.
