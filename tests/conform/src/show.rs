//! Answers to members as the tokens of a transcript.

use kafka_protocol::messages::{JoinGroupResponse, LeaveGroupResponse, SyncGroupResponse};

use crate::cx::{Cx, Out, err};

pub fn show_join(cx: &Cx, out: &Out<JoinGroupResponse>, v: i16) -> String {
    out.show(|r| {
        let mut members: Vec<String> = r
            .members
            .iter()
            .map(|m| {
                let instance = m
                    .group_instance_id
                    .as_ref()
                    .map(|i| format!("/{i}"))
                    .unwrap_or_default();
                format!(
                    "{}{instance}:{}",
                    cx.who(&m.member_id),
                    cx.show_bytes(&m.metadata)
                )
            })
            .collect();
        members.sort();
        let mut seen = format!("{} gen={}", err(r.error_code), r.generation_id);
        if v >= 7 {
            seen += &format!(" type={}", cx.show_opt(r.protocol_type.as_ref()));
        }
        seen += &format!(
            " proto={} leader={} me={}",
            cx.show_opt(r.protocol_name.as_ref()),
            cx.who(&r.leader),
            cx.who(&r.member_id)
        );
        if v >= 9 {
            seen += &format!(" skip={}", r.skip_assignment);
        }
        seen + &format!(" members=[{}]", members.join(","))
    })
}

pub fn show_sync(cx: &Cx, out: &Out<SyncGroupResponse>, v: i16) -> String {
    out.show(|r| {
        let mut seen = err(r.error_code);
        if v >= 5 {
            seen += &format!(
                " type={} proto={}",
                cx.show_opt(r.protocol_type.as_ref()),
                cx.show_opt(r.protocol_name.as_ref())
            );
        }
        seen + &format!(" bytes={}", cx.show_bytes(&r.assignment))
    })
}

pub fn show_leave(cx: &Cx, out: &Out<LeaveGroupResponse>) -> String {
    out.show(|r| {
        let mut seen = format!("top={}", err(r.error_code));
        for m in &r.members {
            let instance = m
                .group_instance_id
                .as_ref()
                .map(|i| format!("/{i}"))
                .unwrap_or_default();
            seen += &format!(" {}{instance}={}", cx.who(&m.member_id), err(m.error_code));
        }
        seen
    })
}
