#!/usr/bin/env bash
# Apache Kafka 4.4.0 as a single KRaft node on 127.0.0.1, from the jars of Maven Central.
# Needs a JDK 17 or newer and Maven.
#
#   kafka.sh install                      downloads the jars into $KAFKA_HOME/libs
#   kafka.sh start PORT [key=value ...]   starts a freshly formatted node and prints its pid;
#                                         data and log are in $KAFKA_HOME/run-PORT
#   kafka.sh stop PORT                    ends it, and waits until it is gone
#   kafka.sh record [PROFILE ...]         records the transcripts of these profiles (all of them
#                                         if none is named) anew, each on a node of its own;
#                                         with FILTER=a,b only cases whose names contain these
#   kafka.sh check [PROFILE ...]          runs the profiles and compares, records nothing
#   kafka.sh tool CLASS ARGS...           one of Kafka's own command-line tools, such as
#                                         org.apache.kafka.tools.consumer.group.ConsumerGroupCommand
#
# KAFKA_HOME is target/kafka-4.4.0 of the workspace unless it is set; HEAP (1g) is the node's;
# record and check use KAFKA_PORT (29392) and the port after it.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
home=${KAFKA_HOME:-$root/target/kafka-4.4.0}
port_of_recordings=${KAFKA_PORT:-29392}
profiles=(default delay small-group no-migration classic-only expiry)

say() { echo "kafka.sh: $*" >&2; }

install() {
  mkdir -p "$home"
  cp "$here/kafka-pom.xml" "$home/pom.xml"
  (cd "$home" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=libs)
  cat > "$home/log4j2.yaml" <<'YAML'
Configuration:
  Appenders: {Console: {name: C, PatternLayout: {pattern: "[%d] %p %m (%c)%n"}}}
  Loggers: {Root: {level: WARN, AppenderRef: {ref: C}}}
YAML
  touch "$home/installed"
}

need_jars() {
  [ -e "$home/installed" ] || { say "installing into $home"; install; }
}

listens() { (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null; }

jvm() {
  java -Xms256m "-Xmx${HEAP:-1g}" -XX:+UseG1GC "-Dlog4j2.configurationFile=$home/log4j2.yaml" \
    -cp "$home/libs/*" "$@"
}

# What all profiles have in common, with the port given.
properties() {
  local port=$1 dir=$2
  cat <<PROPERTIES
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$((port + 1))
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1))
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs=$dir/data
num.partitions=1
auto.create.topics.enable=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
PROPERTIES
}

start() {
  local port=$1 setting
  shift
  need_jars
  if listens "$port" || listens "$((port + 1))"; then
    say "port $port or $((port + 1)) is taken"
    exit 1
  fi
  local dir=$home/run-$port
  rm -rf "$dir"
  mkdir -p "$dir/data"
  properties "$port" "$dir" > "$dir/server.properties"
  for setting in "$@"; do
    sed -i "/^${setting%%=*}=/d" "$dir/server.properties"
    echo "$setting" >> "$dir/server.properties"
  done
  local id
  id=$(jvm kafka.tools.StorageTool random-uuid 2>/dev/null | tail -1)
  jvm kafka.tools.StorageTool format -t "$id" -c "$dir/server.properties" > "$dir/format.log" 2>&1
  setsid java -Xms256m "-Xmx${HEAP:-1g}" -XX:+UseG1GC \
    "-Dlog4j2.configurationFile=$home/log4j2.yaml" -cp "$home/libs/*" \
    kafka.Kafka "$dir/server.properties" > "$dir/log" 2>&1 < /dev/null &
  local pid=$!
  echo "$pid" > "$dir/pid"
  for _ in $(seq 240); do
    if listens "$port"; then
      echo "$pid"
      return
    fi
    kill -0 "$pid" 2> /dev/null || { say "the node ended:"; tail -20 "$dir/log" >&2; exit 1; }
    sleep 0.5
  done
  kill "$pid"
  say "the node does not listen on port $port after two minutes"
  exit 1
}

stop() {
  local pid
  pid=$(cat "$home/run-$1/pid")
  kill "$pid" 2> /dev/null || return 0
  for _ in $(seq 120); do
    kill -0 "$pid" 2> /dev/null || return 0
    sleep 0.25
  done
  kill -9 "$pid"
}

conform() { "$root/target/debug/conform" "$@"; }

# Runs `conform VERB` against a fresh node per profile: verb, then profiles.
each_profile() {
  local verb=$1 profile settings bad=0
  shift
  (cd "$root" && cargo build -q -p conform --bin conform)
  need_jars
  for profile in "${@:-${profiles[@]}}"; do
    mapfile -t settings < <(conform settings --profile "$profile")
    start "$port_of_recordings" "${settings[@]}" > /dev/null
    trap 'stop "$port_of_recordings"' EXIT
    "$verb" "$profile" || bad=1
    stop "$port_of_recordings"
    trap - EXIT
  done
  return "$bad"
}

record_one() {
  local some=()
  [ -z "${FILTER:-}" ] || some=(--merge --filter "$FILTER")
  conform run --bootstrap "127.0.0.1:$port_of_recordings" --profile "$1" --repeat 3 "${some[@]}" \
    --name "Apache Kafka 4.4.0" --out "$here/kafka-4.4.0/$1.json"
}

check_one() {
  conform check --kafka --bootstrap "127.0.0.1:$port_of_recordings" --profile "$1"
}

record() { each_profile record_one "$@"; }
check() { each_profile check_one "$@"; }
tool() { need_jars; jvm "$@"; }

case "${1:-}" in
  install | start | stop | record | check | tool) "$@" ;;
  *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
