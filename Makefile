# Every target is one command that works from a fresh clone.

.PHONY: build test lint

build:
	cargo build --release --locked -p kiln-cli

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test: lint
	cargo nextest run --workspace --locked --no-fail-fast
