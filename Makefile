# make demo   runs the main job on an embedded gateway and mail server
# make test   installs what is missing, then runs every test
# make levels the tests that what looks at octets may change, as on lesser processors
# make lint   format, clippy on all targets and features, docs
# make fuzz TARGET=dialect SECONDS=60    runs one fuzz target (docs/testing.md lists them)
# make fuzz-smoke                        builds all of them and runs each some seconds
# make fuzz-seeds                        fills tests/fuzz/corpus from captures/
# make bench SCALE=0.1 ROUNDS=5 SEED=1   compares with tcpdump and others, writes docs/performance.md (it says more)
# make bench INPUT=FOLDER                the same over captures from elsewhere
# make check-macos                       checks that the program and its tests compile for macOS (types only, nothing is linked)
# make count                             counts the instructions of a judgement against tests/it/cost.rs
# make        builds the program

CARGO ?= cargo
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
# The folder in which cargo builds: CARGO_TARGET_DIR where it is set, what cargo's configuration says, else target. Asked when used.
TARGET_DIR = $(shell $(CARGO) metadata --format-version 1 --no-deps | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p')

# What the build needs, and what the lab needs beside it (the lab skips loudly without).
BUILD_PACKAGES = libpcap-dev iproute2 util-linux
FUZZ_PACKAGES = g++
COUNT_PACKAGES = valgrind
LAB_PACKAGES = openssh-server openssh-client dovecot-pop3d dovecot-imapd tcpdump ethtool openssl netcat-openbsd sudo procps nftables curl

.PHONY: all demo test levels lint check-macos bench count differential fuzz fuzz-smoke fuzz-seeds fuzz-lint deps fuzz-deps lab-deps count-deps install

all: deps
	$(CARGO) build --release

demo: all
	"$(TARGET_DIR)/release/tunnelcheck" demo

test: deps lab-deps
	$(CARGO) test --locked

# What looks at octets, and what was made to fool the verdict, as on lesser processors: 1 portable, 2 AVX2, 3 AVX-512 without VBMI.
levels: deps
	for level in 1 2 3; do \
		export TUNNELCHECK_LEVEL=$$level; echo "TUNNELCHECK_LEVEL=$$level"; \
		$(CARGO) test --locked --lib inspect:: && \
		$(CARGO) test --locked --test it -- evasion props planted captures threads || exit 1; \
	done

lint: deps
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --no-default-features --lib --bins -- -D warnings
	$(CARGO) clippy --locked --no-default-features --features live --lib --bins -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

# Types only: nothing is linked or run, and the C of the crates is left out. aarch64 is also where the passes over octets are the
# portable ones. Skips loudly where Rust's library for it is not installed.
MACOS = aarch64-apple-darwin
MACOS_ENV = CC_aarch64_apple_darwin="$(CURDIR)/.ci/empty-cc" AR_aarch64_apple_darwin="$(CURDIR)/.ci/empty-cc"

check-macos:
	@if ls "$$(rustc --print sysroot)/lib/rustlib/$(MACOS)/lib" >/dev/null 2>&1; then \
		echo "$(CARGO) clippy --locked --target $(MACOS) --all-targets -- -D warnings"; \
		$(MACOS_ENV) $(CARGO) clippy --locked --target $(MACOS) --all-targets -- -D warnings; \
	else \
		echo "SKIPPED: macOS is not checked: rustup target add $(MACOS)" >&2; \
	fi

# Our streams against those of tshark, over the captures of TUNNELCHECK_CORPUS; skips loudly without one of them.
differential: deps
	TUNNELCHECK_DIFFERENTIAL=1 $(CARGO) test --locked --test it differential -- --nocapture

TARGET ?= pipeline
SECONDS ?= 60

fuzz: fuzz-deps
	tests/fuzz/run $(TARGET) $(SECONDS)

fuzz-seeds: deps
	tests/fuzz/run seeds

# A minute of fuzzing in all, whatever the number of targets.
fuzz-smoke: fuzz-deps fuzz-seeds
	tests/fuzz/run smoke 60

fuzz-lint: fuzz-deps
	cd tests/fuzz && $(CARGO) fmt --check && $(CARGO) clippy --release --all-targets -- -D warnings

SCALE ?= 0.1
ROUNDS ?= 5
SEED ?= 1
INPUT ?=

bench: deps
	$(CARGO) bench --locked --bench peers -- --scale "$(SCALE)" --rounds "$(ROUNDS)" --seed "$(SEED)" --input "$(INPUT)"

# The program alone, without what brings a tunnel up: it builds in a minute.
count: count-deps
	$(CARGO) build --locked --profile counted --no-default-features
	TUNNELCHECK_COUNTED="$(TARGET_DIR)/counted/tunnelcheck" $(CARGO) test --locked --test it cost:: -- --nocapture

install: all
	install -D "$(TARGET_DIR)/release/tunnelcheck" $(DESTDIR)/usr/local/bin/tunnelcheck

# libpcap's headers: there on macOS; installed by apt where this may be done; else the exact command is said.
deps:
	@if [ "$$(uname)" = Darwin ] || pkg-config --exists libpcap 2>/dev/null || ls /usr/include/pcap/pcap.h >/dev/null 2>&1; then :; \
	elif command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || $(SUDO) -n true 2>/dev/null; }; then \
		echo "installing $(BUILD_PACKAGES)"; \
		$(SUDO) apt-get -o DPkg::Lock::Timeout=300 update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq $(BUILD_PACKAGES) >/dev/null; \
	else \
		echo "libpcap's headers are missing. Type one of:"; \
		echo "  sudo apt-get install -y $(BUILD_PACKAGES)      (Debian, Ubuntu)"; \
		echo "  sudo dnf install -y libpcap-devel iproute      (Fedora)"; \
		echo "  sudo pacman -S libpcap iproute2                (Arch)"; \
		exit 1; \
	fi

# libFuzzer is built from its sources: that takes a C++ compiler, which the program itself does not need.
fuzz-deps: deps
	@if command -v c++ >/dev/null; then :; \
	elif command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || $(SUDO) -n true 2>/dev/null; }; then \
		echo "installing $(FUZZ_PACKAGES)"; \
		$(SUDO) apt-get -o DPkg::Lock::Timeout=300 update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq $(FUZZ_PACKAGES) >/dev/null; \
	else \
		echo "A C++ compiler is missing: install $(FUZZ_PACKAGES)"; exit 1; \
	fi

count-deps: deps
	@if command -v valgrind >/dev/null; then :; \
	elif command -v apt-get >/dev/null && { [ "$$(id -u)" = 0 ] || $(SUDO) -n true 2>/dev/null; }; then \
		echo "installing $(COUNT_PACKAGES)"; \
		$(SUDO) apt-get -o DPkg::Lock::Timeout=300 update -qq && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq $(COUNT_PACKAGES) >/dev/null; \
	else \
		echo "valgrind is missing: install $(COUNT_PACKAGES)"; exit 1; \
	fi

# Only as root, and only where something is missing: without these the lab tests skip and say so.
lab-deps:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	  ! { [ -x /usr/sbin/sshd ] && command -v dovecot && command -v tcpdump && command -v ethtool && command -v ip && command -v openssl && command -v nc && command -v nft && command -v curl; } >/dev/null; then \
		echo "installing $(LAB_PACKAGES)"; \
		apt-get -o DPkg::Lock::Timeout=300 update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -qq $(LAB_PACKAGES) >/dev/null; \
	fi
