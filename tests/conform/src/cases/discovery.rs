//! FindCoordinator and ApiVersions (6.1), and the versions offered.

use anyhow::Result;
use kafka_protocol::messages::{ApiVersionsRequest, FindCoordinatorRequest};

use crate::case;
use crate::case::Book;
use crate::cx::{Cx, err, text};

async fn find(cx: &Cx, v: i16, key_type: i8, keys: &[&str], label: &str, spec: &str) -> Result<()> {
    let mut request = FindCoordinatorRequest::default();
    if v >= 1 {
        request.key_type = key_type;
    }
    if v >= 4 {
        request.coordinator_keys = keys.iter().map(text).collect();
    } else {
        request.key = text(keys[0]);
    }
    let port = cx.env.addr.rsplit(':').next().unwrap_or("").to_owned();
    let out = cx.ask(&request, v).await?;
    let at = |node: i32, host: &str, p: i32| {
        if p.to_string() == port && node >= 0 {
            "here".to_owned()
        } else {
            format!(
                "{}/{}/{}",
                if node < 0 {
                    node.to_string()
                } else {
                    "node".into()
                },
                cx.show(host),
                if p < 0 { "-1" } else { "port" }
            )
        }
    };
    let seen = out.show(|r| {
        if v < 4 {
            let message = cx.show_opt(r.error_message.as_ref());
            let message = if v >= 1 {
                format!(" message={message}")
            } else {
                String::new()
            };
            return format!(
                "{} at={}{message} rows={}",
                err(r.error_code),
                at(r.node_id.0, &r.host, r.port),
                r.coordinators.len()
            );
        }
        let rows: Vec<_> = r
            .coordinators
            .iter()
            .map(|c| {
                let message = cx.show_opt(c.error_message.as_ref());
                format!(
                    "{}={} at={} message={message}",
                    cx.show(&c.key),
                    err(c.error_code),
                    at(c.node_id.0, &c.host, c.port)
                )
            })
            .collect();
        format!("top={} {}", err(r.error_code), rows.join(" "))
    });
    cx.note(label, seen, spec);
    Ok(())
}

pub fn add(book: &mut Book) {
    book.group("discovery");

    case!(book, [1, 7], "find-one", |cx| {
        let g = cx.group();
        for v in 0..=3 {
            if !cx.offers(10, v) {
                cx.note(format!("v{v}"), "not-offered", "");
                continue;
            }
            let message = if v >= 1 { " message=NONE" } else { "" };
            find(
                &cx,
                v,
                0,
                &[&g],
                &format!("v{v}"),
                &format!("NONE at=here{message}"),
            )
            .await?;
            find(
                &cx,
                v,
                0,
                &[""],
                &format!("v{v} group \"\""),
                "NONE at=here",
            )
            .await?;
        }
    });

    case!(book, [4, 5], "find-odd-types", |cx| {
        let g = cx.group();
        for v in 1..=5 {
            if cx.offers(10, v) {
                find(
                    &cx,
                    v,
                    2,
                    &[&g],
                    &format!("v{v} type 2"),
                    if v >= 4 {
                        "g1=INVALID_REQUEST"
                    } else {
                        "INVALID_REQUEST"
                    },
                )
                .await?;
            }
        }
        for v in 1..=6 {
            if cx.offers(10, v) {
                find(
                    &cx,
                    v,
                    9,
                    &[&g],
                    &format!("v{v} type 9"),
                    if v >= 4 { "" } else { "INVALID_REQUEST" },
                )
                .await?;
                find(&cx, v, -1, &[&g], &format!("v{v} type -1"), "").await?;
            }
        }
        if cx.offers(10, 6) {
            find(
                &cx,
                6,
                2,
                &[&g],
                "v6 type 2, malformed key",
                "g1=INVALID_REQUEST",
            )
            .await?;
        }
    });

    case!(book, [8], "versions-offered", |cx| {
        let apis: [(i16, &str); 23] = [
            (8, "OffsetCommit"),
            (9, "OffsetFetch"),
            (10, "FindCoordinator"),
            (11, "JoinGroup"),
            (12, "Heartbeat"),
            (13, "LeaveGroup"),
            (14, "SyncGroup"),
            (15, "DescribeGroups"),
            (16, "ListGroups"),
            (18, "ApiVersions"),
            (24, "AddPartitionsToTxn"),
            (25, "AddOffsetsToTxn"),
            (26, "EndTxn"),
            (28, "TxnOffsetCommit"),
            (42, "DeleteGroups"),
            (47, "OffsetDelete"),
            (68, "ConsumerGroupHeartbeat"),
            (69, "ConsumerGroupDescribe"),
            (76, "ShareGroupHeartbeat"),
            (77, "ShareGroupDescribe"),
            (88, "StreamsGroupHeartbeat"),
            (89, "StreamsGroupDescribe"),
            (90, "DescribeShareGroupOffsets"),
        ];
        for (key, name) in apis {
            let range = cx.env.versions.offered().find(|(k, _)| *k == key);
            cx.note(
                name,
                range.map_or("none".into(), |(_, r)| format!("{}..{}", r.min, r.max)),
                "",
            );
        }
    });

    case!(book, [8], "api-versions-software-name", |cx| {
        for (label, name, version) in [
            ("empty", "", "1"),
            ("odd", "a b", "1"),
            ("dash", "-x", "1"),
            ("fine", "x-1.2", "3.4"),
            ("no version", "x", ""),
        ] {
            let request = ApiVersionsRequest::default()
                .with_client_software_name(text(name))
                .with_client_software_version(text(version));
            let out = cx.ask(&request, 3).await?;
            let spec = if label == "fine" {
                "NONE"
            } else {
                "INVALID_REQUEST"
            };
            cx.note(label, out.show(|r| err(r.error_code)), spec);
        }
    });
}
