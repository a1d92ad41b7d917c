#!/usr/bin/env bash
# Brings the clients at their locked versions into target/clients, each by its own package manager.
#   install.sh [CLIENT ...]        all, or some of: confluent kafka-python aiokafka kafkajs java franz
#                                  sarama franz-suite
#   install.sh --check CLIENT      whether that one is there, at the versions and sources of now
# What is there already is left alone.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
home=$(cd "$here/../.." && pwd)/target/clients

kit_of() {
  case $1 in
    confluent | kafka-python | aiokafka) echo python ;;
    kafkajs) echo js ;;
    java) echo java ;;
    franz | sarama) echo go ;;
    franz-suite) echo franz-suite ;;
    *) echo "install.sh: no such client: $1" >&2; return 2 ;;
  esac
}

# What a kit is made from; the kit is current when its stamp says the same.
wanted() {
  local files=()
  case $1 in
    python) files=(python/requirements.txt) ;;
    franz-suite) files=(go/go.mod go/go.sum) ;;
    *) mapfile -t files < <(cd "$here" && find "$1" -type f -not -path '*/node_modules/*' | sort) ;;
  esac
  (cd "$here" && sha256sum "${files[@]}")
}

current() { [ -f "$home/$1/stamp" ] && [ "$(wanted "$1")" = "$(cat "$home/$1/stamp")" ]; }

make_python() {
  python3 -m venv "$home/python"
  "$home/python/bin/pip" install --quiet --disable-pip-version-check --no-deps \
    --only-binary :all: --requirement "$here/python/requirements.txt"
}

make_js() {
  mkdir -p "$home/js"
  cp "$here"/js/* "$home/js/"
  (cd "$home/js" && npm ci --silent --no-audit --no-fund)
}

make_java() {
  rm -rf "$home/java"
  mvn --quiet --batch-mode --file "$here/java/pom.xml" -Dout="$home/java" compile \
    dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$home/java/libs"
}

make_go() {
  (cd "$here/go" && GOFLAGS=-mod=readonly go build -o "$home/go/" ./franz ./sarama)
}

# franz-go's own tests come with its module; they are built once, in a copy that can be written.
make_franz-suite() {
  local module
  (cd "$here/go" && go mod download)
  module=$(cd "$here/go" && go list -m -f '{{.Dir}}' github.com/twmb/franz-go)
  rm -rf "$home/franz-suite"
  mkdir -p "$home/franz-suite"
  cp -r "$module"/go.mod "$module"/go.sum "$module"/pkg "$home/franz-suite/"
  chmod -R u+w "$home/franz-suite"
  (cd "$home/franz-suite" && go test -c -o kgo.test ./pkg/kgo)
}

if [ "${1:-}" = --check ]; then
  current "$(kit_of "$2")"
  exit
fi
[ $# -gt 0 ] || set -- confluent kafka-python aiokafka kafkajs java franz sarama franz-suite
for client in "$@"; do
  kit=$(kit_of "$client")
  if ! current "$kit"; then
    echo "install.sh: $kit (for $client)"
    "make_$kit"
    wanted "$kit" > "$home/$kit/stamp"
  fi
done
