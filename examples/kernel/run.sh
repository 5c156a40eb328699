#!/usr/bin/env bash
# Builds the kernel and boots it in QEMU.
#
#     run.sh aarch64|riscv64|x86_64 [--build | --built] [--kpti] [--plain] [--turns] [--drops | --stays-here]
#            [--only NUMBER] [--pages THOUSANDS]
#
#   --build        only builds
#   --built        only boots what was built
#   --kpti         the kernel is unmapped while user code runs (not on riscv64, whose definition has no such feature)
#   --plain        without features that are optional to use
#   --turns        the CPUs run in turns, on one CPU of this machine, and others run in the middle of a flush (src/turns.rs):
#                  the same turns in each boot
#   --drops        the instruction sink leaves invalidations out: has to be found
#   --stays-here   invalidations do not reach other CPUs: has to be found
#   --only         one scenario, by its number in src/scenario/mod.rs
#   --pages        how many thousand pages are unmapped while CPUs use them (100)
#
# Exits with 0 when all is well, 1 when memory was accessed after it was freed, 2 when the kernel panics or the time is
# over (SECONDS_LIMIT, 600), and 77 when something to build or to boot it with is missing.
set -euo pipefail
cd "$(dirname "$0")"

missing() {
    echo "$1" >&2
    exit 77
}

arch=${1:-}
shift || true
cpus=(-smp 4) kpti=0 plain=0 turns=0 sabotage=0 scenario=0 pages=100 only_build= is_built=
while [ $# -gt 0 ]; do
    case $1 in
        --build) only_build=yes ;;
        --built) is_built=yes ;;
        --kpti) kpti=1 ;;
        --plain) plain=1 ;;
        --turns) turns=1 cpus+=(-icount 'shift=10,sleep=off') ;;
        --drops) sabotage=1 ;;
        --stays-here) sabotage=2 ;;
        --only) scenario=$2 && shift ;;
        --pages) pages=$2 && shift ;;
        *) echo "unknown option $1" >&2 && exit 2 ;;
    esac
    shift
done
case $arch in
    aarch64)
        target=aarch64-unknown-none-softfloat
        qemu=(qemu-system-aarch64 -machine virt,gic-version=2 -cpu max -semihosting)
        options_at=0x43000000 ;;
    riscv64)
        target=riscv64imac-unknown-none-elf
        qemu=(qemu-system-riscv64 -machine virt -cpu rv64,svinval=on)
        options_at=0x83000000 ;;
    x86_64)
        target=x86_64-unknown-none
        qemu=(qemu-system-x86_64 -cpu max -device isa-debug-exit,iobase=0xf4,iosize=4)
        options_at=0x03000000 ;;
    *) echo "usage: run.sh aarch64|riscv64|x86_64 [option..]" >&2 && exit 2 ;;
esac

[ -n "$only_build" ] || command -v "${qemu[0]}" >/dev/null || missing "no ${qemu[0]}"
target_dir=${CARGO_TARGET_DIR:-$PWD/target}

# Builds with a compiler that is new enough and has the source of its library: rustup's component rust-src, or Debian's
# rustc-web, cargo-web and rust-web-src.
build() {
    least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' ../../Cargo.toml)
    bin=
    for rustc in "${RUSTC:-rustc}" "${RUSTUP_HOME:-$HOME/.rustup}"/toolchains/*/bin/rustc /usr/bin/rustc; do
        library=$("$rustc" --print sysroot 2>/dev/null)/lib/rustlib/src/rust/library || continue
        version=$("$rustc" --version | cut -d ' ' -f 2)
        [ "$(printf '%s\n' "$least" "$version" | sort -V | head -n 1)" = "$least" ] || continue
        directory=$(dirname "$(command -v "$rustc")")
        if [ -d "$library/core" ] && [ -x "$directory/cargo" ]; then
            bin=$directory
            break
        fi
    done
    [ -n "$bin" ] || missing "no rustc from $least on with cargo and the library's source (rustup's rust-src, or rustc-web, cargo-web and rust-web-src)"
    linker=$(command -v ld.lld || find "${library%/src/rust/library}" -name ld.lld -path '*gcc-ld*' | head -n 1)
    [ -n "$linker" ] || missing "no linker for foreign targets (lld)"

    # Debian's source has the crates that the library uses beside it, which makes the build one without network.
    offline=()
    if [ -d "$library/vendor" ]; then
        offline=(--offline --config 'source.crates-io.replace-with="library"' --config "source.library.directory=\"$library/vendor\"")
    fi
    # What a surrounding `cargo` has set for its own compiler is not for this one.
    env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS -u LD_LIBRARY_PATH \
        PATH="$bin:$PATH" RUSTC_BOOTSTRAP=1 RUSTC="$bin/rustc" CARGO_TARGET_DIR="$target_dir" \
        "$bin/cargo" build --quiet --release --target "$target" "${offline[@]}" \
        --config "target.$target.linker=\"$linker\"" \
        -Zbuild-std=core -Zbuild-std-features=compiler-builtins-mem >&2
}
[ -n "$is_built" ] || build
[ -z "$only_build" ] || exit 0

options=$((kpti | plain << 1 | turns << 2 | scenario << 4 | sabotage << 8 | pages << 16))
code=0
timeout "${SECONDS_LIMIT:-600}" "${qemu[@]}" "${cpus[@]}" -m 64M -no-reboot \
    -display none -serial stdio -monitor none </dev/null \
    -device "loader,addr=$options_at,data=$options,data-len=8" \
    -kernel "$target_dir/$target/release/kernel" || code=$?
# The exit device of x86-64 answers with 2n + 1.
case $arch:$code in
    x86_64:1) code=0 ;;
    x86_64:3) code=1 ;;
    aarch64:[01] | riscv64:[01]) ;;
    *) code=2 ;;
esac
exit "$code"
