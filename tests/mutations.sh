#!/usr/bin/env bash
# Makes the mistakes that src/mutation.rs speaks of, one after the other, and lists the tests that
# notice each. Ends with 1 if one goes unnoticed, or if a test fails without any.
#
#   tests/mutations.sh [MISTAKE ...]       all of them take some minutes
set -uo pipefail
cd "$(dirname "$0")/.."
export RUSTFLAGS="${RUSTFLAGS:-} --cfg takhin_mutations" CARGO_TARGET_DIR=target/mutations
# Enough for each mistake; the test command runs more.
export TAKHIN_REPLAYS=300 TAKHIN_HISTORIES=60 MODEL_HISTORIES=200

failed() {
  {
    cargo test -q --no-fail-fast --lib -- store::tests::replay store::tests::crash \
      store::tests::torn store::tests::space journal::
    cargo test -q --no-fail-fast --test journal --test model --test dialogues --test restarts
  } 2>/dev/null | sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p;s/^    \([a-z0-9_:]*\)$/\1/p' | sort -u
}

cargo test -q --no-run --lib --test journal --test model --test dialogues --test restarts || exit 1
names=("$@")
if [ $# = 0 ]; then
  mapfile -t names < <(grep -rhoE 'mutation::is\("[a-z-]+' src | sed 's/.*"//' | sort -u)
  without=$(failed)
  [ -z "$without" ] || { printf 'fails without a mistake:\n%s\n' "$without"; exit 1; }
fi
unnoticed=0
for name in "${names[@]}"; do
  by=$(TAKHIN_MUTATION=$name failed)
  if [ -n "$by" ]; then
    printf '%s\n%s\n' "$name" "$by" | sed '2,$s/^/    /'
  else
    printf '%s\n    NOT NOTICED\n' "$name"
    unnoticed=1
  fi
done
exit "$unnoticed"
