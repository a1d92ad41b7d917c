#!/usr/bin/env bash
# Runs one of franz-go's own tests, TestGroupETL or TestTxnEtl, in its classic variants (range,
# cooperative-sticky and static members; three chained groups each, members joining and leaving all
# the while, every record once and in order; the second in transactions), against a server.
#   franz-suite.sh HOST:PORT TEST      after: install.sh franz-suite
# KGO_TEST_RECORDS, KGO_LOG_LEVEL (none, info, debug) are franz-go's own and may be set.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
suite=$(cd "$here/../.." && pwd)/target/clients/franz-suite
cd "$suite/pkg/kgo"
export KGO_SEEDS=$1 KGO_TEST_RF=1 KGO_TEST_RECORDS=${KGO_TEST_RECORDS:-20000}
export KGO_LOG_LEVEL=${KGO_LOG_LEVEL:-none}
# The variants that are skipped are those of the consumer protocol (KIP-848).
exec "$suite/kgo.test" -test.v -test.timeout 170s \
  -test.run "^$2\$" -test.skip "^$2\$/.*/848"
