#!/usr/bin/env bash
# Records segment files of Apache Kafka's own __consumer_offsets, and what Kafka says of the groups
# in them: NAME.log and NAME.txt beside this script, one pair for each way to compress.
# Needs a JDK 17 or newer and Maven; takes two minutes. KAFKA_PORT (29592) and the next are used.
#
#   record.sh [NAME ...]       NAME is one of: plain gzip snappy lz4 zstd
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
kafka=$here/../conform/kafka.sh
home=${KAFKA_HOME:-$(cd "$here/../.." && pwd)/target/kafka-4.4.0}
port=${KAFKA_PORT:-29592}
declare -A codecs=([plain]=0 [gzip]=1 [snappy]=2 [lz4]=3 [zstd]=4)

for name in "${@:-plain gzip snappy lz4 zstd}"; do
  for one in $name; do
    "$kafka" start "$port" "offsets.topic.compression.codec=${codecs[$one]}" \
      group.initial.rebalance.delay.ms=0 > /dev/null
    trap '"$kafka" stop "$port"' EXIT
    java -Xmx256m "-Dlog4j2.configurationFile=$home/log4j2.yaml" -cp "$home/libs/*" \
      "$here/Record.java" "$port" | grep -P '\t' > "$here/$one.txt"
    "$kafka" stop "$port"
    trap - EXIT
    cat "$home/run-$port/data/__consumer_offsets-0/"*.log > "$here/$one.log"
    ls -l "$here/$one.log" "$here/$one.txt"
  done
done
