//! Prometheus' text format, written by hand.
//!
//! A metrics crate would want registered families behind locks; these numbers are arrays, and the
//! format is one line a number.

use std::fmt;

use super::cell::{Counter, Gauge, Histogram};
use super::kinds::{Api, CloseReason, ExpulsionCause, GroupPhase, RebalanceCause, RefusalCause};
use super::node::Metrics;
use super::shard::ShardMetrics;

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_requests(f)?;
        self.write_server(f)?;
        self.write_groups(f)?;
        self.write_causes(f)?;
        self.write_shards(f)
    }
}

impl Metrics {
    /// APIs that were never asked are left out.
    fn write_requests(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "takhin_request_duration_seconds";
        head(
            f,
            name,
            "histogram",
            "Requests by API, from arrival to answer.",
        )?;
        for api in Api::ALL {
            let mut counts = [0_u64; Histogram::BOUNDS_MS.len() + 1];
            let mut sum_ms = 0_u64;
            for share in &self.requests {
                let (part, part_ms) = share.api(*api).read();
                counts.iter_mut().zip(part).for_each(|(all, n)| *all += n);
                sum_ms += part_ms;
            }
            if counts.iter().all(|n| *n == 0) {
                continue;
            }
            let api = api.label();
            let mut below = 0;
            for (bound_ms, count) in Histogram::BOUNDS_MS.iter().zip(counts) {
                below += count;
                let le = Seconds(*bound_ms);
                writeln!(f, "{name}_bucket{{api=\"{api}\",le=\"{le}\"}} {below}")?;
            }
            let all: u64 = counts.iter().sum();
            writeln!(f, "{name}_bucket{{api=\"{api}\",le=\"+Inf\"}} {all}")?;
            writeln!(f, "{name}_sum{{api=\"{api}\"}} {}", Seconds(sum_ms))?;
            writeln!(f, "{name}_count{{api=\"{api}\"}} {all}")?;
        }
        Ok(())
    }

    fn write_server(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server();
        let connections = server.connections.value();
        one(
            f,
            "takhin_connections",
            "gauge",
            "Open connections.",
            connections,
        )?;
        one(
            f,
            "takhin_requests_parked",
            "gauge",
            "Requests that wait for their answer.",
            server.requests_parked.value(),
        )?;
        one(
            f,
            "takhin_large_request_bytes",
            "gauge",
            "Bytes of large requests that are being received or carried out.",
            server.large_frame_bytes.value(),
        )?;
        one(
            f,
            "takhin_connections_accepted_total",
            "counter",
            "Connections that were taken.",
            server.connections_accepted.value(),
        )?;
        one(
            f,
            "takhin_connections_refused_total",
            "counter",
            "Connections that were closed at once because of max.connections.",
            server.connections_refused.value(),
        )?;
        one(
            f,
            "takhin_accept_failures_total",
            "counter",
            "Connections that the operating system could not give.",
            server.accept_failures.value(),
        )?;
        let name = "takhin_connections_closed_total";
        head(f, name, "counter", "Connections that ended, by reason.")?;
        for reason in CloseReason::ALL {
            let n = server.closed(*reason).value();
            writeln!(f, "{name}{{reason=\"{}\"}} {n}", reason.label())?;
        }
        Ok(())
    }

    fn write_groups(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "takhin_groups";
        head(f, name, "gauge", "Groups by state.")?;
        for phase in GroupPhase::ALL {
            let n = self.gauge(|shard| shard.groups(*phase));
            writeln!(f, "{name}{{state=\"{}\"}} {n}", phase.label())?;
        }
        let members = self.gauge(|shard| &shard.members);
        one(
            f,
            "takhin_members",
            "gauge",
            "Members of all groups.",
            members,
        )?;
        let at_rest = self.gauge(|shard| &shard.groups_at_rest);
        let help = "Groups to which nothing happens, packed.";
        one(f, "takhin_groups_at_rest", "gauge", help, at_rest)?;
        let offsets = self.gauge(|shard| &shard.offsets);
        one(f, "takhin_offsets", "gauge", "Committed offsets.", offsets)?;
        let quarantined = self.gauge(|shard| &shard.groups_quarantined);
        let help = "Groups that are not available because a record of them cannot be read.";
        one(f, "takhin_groups_quarantined", "gauge", help, quarantined)?;
        let staged = self.gauge(|shard| &shard.offsets_staged);
        let help = "Offsets that open transactions have staged.";
        one(f, "takhin_offsets_staged", "gauge", help, staged)?;
        let parked = self.gauge(|shard| &shard.parked);
        let help = "Joins and syncs that wait for their answer.";
        one(f, "takhin_group_requests_parked", "gauge", help, parked)?;
        let completed = self.counter(|shard| &shard.rebalances_completed);
        let help = "Rebalances that ended with a new generation.";
        one(
            f,
            "takhin_rebalances_completed_total",
            "counter",
            help,
            completed,
        )?;
        let commits = self.counter(|shard| &shard.offset_commits);
        let help = "Partitions whose offset was committed.";
        one(f, "takhin_offset_commits_total", "counter", help, commits)?;
        let repeated = self.counter(|shard| &shard.offset_commits_repeated);
        let help = "Partitions whose commit said what was stored already, and was not written.";
        one(
            f,
            "takhin_offset_commits_repeated_total",
            "counter",
            help,
            repeated,
        )?;
        let expired = self.counter(|shard| &shard.offset_expirations);
        let help = "Offsets that expired.";
        one(
            f,
            "takhin_offset_expirations_total",
            "counter",
            help,
            expired,
        )?;
        let deleted = self.counter(|shard| &shard.offset_deletions);
        let help = "Offsets that were deleted.";
        one(f, "takhin_offset_deletions_total", "counter", help, deleted)
    }

    fn write_causes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "takhin_rebalances_total";
        head(f, name, "counter", "Rebalances that began, by cause.")?;
        for cause in RebalanceCause::ALL {
            let n = self.counter(|shard| shard.rebalances(*cause));
            writeln!(f, "{name}{{cause=\"{}\"}} {n}", cause.label())?;
        }
        let name = "takhin_expulsions_total";
        head(f, name, "counter", "Members that were removed, by cause.")?;
        for cause in ExpulsionCause::ALL {
            let n = self.counter(|shard| shard.expulsions(*cause));
            writeln!(f, "{name}{{cause=\"{}\"}} {n}", cause.label())?;
        }
        let name = "takhin_refusals_total";
        head(
            f,
            name,
            "counter",
            "Requests refused before a group saw them.",
        )?;
        for cause in RefusalCause::ALL {
            let n = self.counter(|shard| shard.refusals(*cause));
            writeln!(f, "{name}{{cause=\"{}\"}} {n}", cause.label())?;
        }
        Ok(())
    }

    fn write_shards(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = "takhin_mailbox_depth";
        head(f, name, "gauge", "Events in the shard's mailbox.")?;
        self.each_shard(f, name, |shard| shard.mailbox_depth.value())?;
        let name = "takhin_shard_events_total";
        head(f, name, "counter", "Events that the shard took.")?;
        self.each_shard(f, name, |shard| shard.events.value())?;
        let name = "takhin_shard_load_seconds";
        head(f, name, "gauge", "How long the shard's load took.")?;
        let load_ms = |shard: &ShardMetrics| u64::try_from(shard.load_ms.value()).unwrap_or(0);
        self.each_shard(f, name, |shard| Seconds(load_ms(shard)))?;
        let name = "takhin_shard_load_records";
        head(f, name, "gauge", "Records that the shard's load applied.")?;
        self.each_shard(f, name, |shard| shard.load_records.value())?;
        let name = "takhin_loop_stalls_total";
        head(
            f,
            name,
            "counter",
            "Times that the shard was not served for too long.",
        )?;
        self.each_shard(f, name, |shard| shard.loop_stalls.value())?;
        let name = "takhin_loop_stalled_seconds_total";
        head(
            f,
            name,
            "counter",
            "Time that the shard was not served for too long.",
        )?;
        self.each_shard(f, name, |shard| Seconds(shard.loop_stalled_ms.value()))
    }

    fn each_shard<N: fmt::Display>(
        &self,
        f: &mut fmt::Formatter<'_>,
        name: &str,
        read: impl Fn(&ShardMetrics) -> N,
    ) -> fmt::Result {
        for (index, shard) in self.shards().enumerate() {
            writeln!(f, "{name}{{shard=\"{index}\"}} {}", read(shard))?;
        }
        Ok(())
    }

    fn counter(&self, of: impl Fn(&ShardMetrics) -> &Counter) -> u64 {
        self.shards().map(|shard| of(shard).value()).sum()
    }

    fn gauge(&self, of: impl Fn(&ShardMetrics) -> &Gauge) -> i64 {
        self.shards().map(|shard| of(shard).value()).sum()
    }
}

/// Milliseconds, written as seconds.
struct Seconds(u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, ms) = (self.0 / 1_000, self.0 % 1_000);
        if ms == 0 {
            return write!(f, "{whole}");
        }
        let text = format!("{ms:03}");
        write!(f, "{whole}.{}", text.trim_end_matches('0'))
    }
}

fn head(f: &mut fmt::Formatter<'_>, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(f, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn one(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    kind: &str,
    help: &str,
    value: impl fmt::Display,
) -> fmt::Result {
    head(f, name, kind, help)?;
    writeln!(f, "{name} {value}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_shards_and_shares_are_added_up() {
        let metrics = Metrics::new(2);
        metrics.shard(0).rebalances(RebalanceCause::Join).add(1);
        metrics.shard(1).rebalances(RebalanceCause::Join).add(2);
        metrics.requests(0).api(Api::Heartbeat).record(0, 5);
        metrics.requests(1).api(Api::Heartbeat).record(1_500, 1);
        let text = metrics.to_string();
        for line in [
            "takhin_rebalances_total{cause=\"join\"} 3",
            "takhin_request_duration_seconds_bucket{api=\"Heartbeat\",le=\"0.001\"} 5",
            "takhin_request_duration_seconds_bucket{api=\"Heartbeat\",le=\"5\"} 6",
            "takhin_request_duration_seconds_sum{api=\"Heartbeat\"} 1.5",
            "takhin_request_duration_seconds_count{api=\"Heartbeat\"} 6",
            "takhin_mailbox_depth{shard=\"1\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn every_line_is_a_comment_or_a_name_and_a_number() {
        let metrics = Metrics::new(1);
        for api in Api::ALL {
            metrics.requests(7).api(*api).record(3, 1);
        }
        for line in metrics.to_string().lines() {
            let value = line.rsplit(' ').next().unwrap();
            assert!(
                line.starts_with("# ")
                    || (line.starts_with("takhin_") && value.parse::<f64>().is_ok()),
                "{line}"
            );
        }
    }

    #[test]
    fn the_number_of_series_grows_with_shards_and_apis_only() {
        let lines = |shards| Metrics::new(shards).to_string().lines().count();
        let a_shard = lines(2) - lines(1);
        assert_eq!(lines(9), lines(1) + 8 * a_shard);
        assert!(a_shard <= 8, "{a_shard}");
    }
}
