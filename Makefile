# Every target is one command that works from a fresh clone on Debian 12 with Rust.

TARGET := $(or $(CARGO_TARGET_DIR),target)
XTASK := $(TARGET)/debug/xtask

.PHONY: build demo test bench lint clean

# The program, as users run it: target/release/kiln.
build:
	cargo build --release --locked -p kiln-cli

# Base images from Debian's packages, every example built twice over and run; ends with the table.
demo: scripts/packages.txt
	./scripts/install-packages
	cargo run --quiet --locked -p xtask -- demo

# Everything that CI runs. One compilation for all tests, then one runner for all of them.
test: lint
	./scripts/install-packages
	cargo build --workspace --all-targets --locked
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) with-harness \
		cargo nextest run --workspace --locked --no-fail-fast $(NEXTEST)

# Against buildah and against the floor. BENCH=--quick for a short one.
bench:
	./scripts/install-packages
	cargo run --quiet --locked -p xtask -- bench $(BENCH)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

clean:
	cargo clean
