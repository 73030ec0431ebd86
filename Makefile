# Every target is one command that works from a fresh clone on Debian 12 with Rust.

TARGET := $(or $(CARGO_TARGET_DIR),target)
XTASK := $(TARGET)/debug/xtask
# nextest runs each test in a process of its own and shows what is slow. Without it cargo's own runner does.
RUNNER := $(if $(shell command -v cargo-nextest),nextest run,test)

.PHONY: build shell demo test conformance lint-compat bench fuzz lint packages clean

# The program, as users run it: target/release/kiln.
build: packages
	cargo build --release --locked -p kiln-cli

# A shell with kiln, a registry of base images as docker.io, and a store that goes with it: for the README's walk-through.
shell: packages
	cargo run --quiet --locked -p xtask -- shell

# Base images from Debian's packages, every example built twice over and run; ends with the table.
demo: packages
	cargo run --quiet --locked -p xtask -- demo $(EXAMPLES)

# Everything that CI runs. One compilation for all tests, a benchmark just long enough to see that it works, then one
# runner for all tests. FILTER picks some of them.
test: lint
	cargo build --workspace --all-targets --locked
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) bench --quick
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) bench --growth --quick
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) with-harness \
		cargo $(RUNNER) --workspace --locked --no-fail-fast $(FILTER)

# The cases of tests/cases by Kiln and by buildah, as root: who does what the language demands, by area.
# DIFFERENCES=1 lists where they differ, FILTER picks some.
conformance: packages
	cargo build --workspace --bins --locked
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) with-harness \
		$(TARGET)/debug/conformance $(if $(DIFFERENCES),--differences) $(FILTER)

# What hadolint and ShellCheck (from PyPI) and `kiln lint` find in the Dockerfiles of the repository, and of directories
# that DOCKERFILES names, by rule, and each difference; and what is left of it after `kiln lint --fix`.
lint-compat: packages
	cargo build --locked -p kiln-cli -p xtask
	KILN_BIN=$(TARGET)/debug/kiln $(XTASK) lint-compat $(DOCKERFILES)

# Against other builders and against the floor: docs/performance.md. BENCH="--only NAME …" for some rows, --quick for a
# short one.
bench: packages
	cargo run --quiet --locked -p xtask -- bench $(BENCH)

# Each target of fuzz/ for FUZZ_SECONDS, or those of FUZZ: what holds for every input (crates/properties), with what
# libFuzzer finds: CONTRIBUTING.md. Needs Rust's nightly, cargo-fuzz and g++. What a target finds becomes a test first.
FUZZ_SECONDS ?= 60
FUZZ ?= $(basename $(notdir $(wildcard fuzz/fuzz_targets/*.rs)))
fuzz:
	for target in $(FUZZ); do \
		mkdir -p fuzz/corpus/$$target fuzz/artifacts/$$target || exit; \
		case $$target in \
			elf) cp /bin/true fuzz/corpus/elf/ ;; \
			ld_so_cache) cp /etc/ld.so.cache fuzz/corpus/ld_so_cache/ ;; \
			vulnerabilities) cp crates/inspect/src/vulnerabilities/testdata/*.zip fuzz/corpus/vulnerabilities/ ;; \
			tar | layer_tar) tar cf fuzz/corpus/$$target/examples.tar examples ;; \
		esac || exit; \
		cargo +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target tests/dockerfiles tests/cases -- \
			-max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=262144 || exit; \
	done

lint: packages
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

# Debian packages that are missing; only this needs root.
packages:
	@./scripts/install-packages

clean:
	cargo clean
