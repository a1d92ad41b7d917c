//! Every message and version against the layouts of Kafka 4.4.0: names, types, order, encoding.

use takhin_coordinator::ids::TopicId;
use takhin_coordinator::wire::{ApiKey, api::APIS};

use crate::known;
use crate::schema::{Values, layouts, named};

#[test]
fn every_field_of_every_version_is_where_kafka_has_it() {
    for layout in layouts() {
        let api = known::api(layout.api);
        for version in layout.versions.clone() {
            let bytes = layout.encode(version, &mut Values::Named);
            let place = format!("{} {version} request {}", layout.api, layout.request);
            let decoded = known::decode(api, layout.request, version, &bytes)
                .unwrap_or_else(|error| panic!("{place}: {error}"));
            assert!(decoded.exact, "{place}: bytes are left");
            assert_eq!(decoded.bytes, bytes, "{place}");
            fields_tell_their_names(&place, &decoded.text, bytes.len());
        }
    }
}

/// Each field was sent with a value made of its name; what a version does not have is empty,
/// which no field's value is.
fn fields_tell_their_names(place: &str, text: &str, bytes: usize) {
    let mut told = 0;
    for (at, _) in text.match_indices(": ") {
        let name = text[..at]
            .rsplit(|c: char| c != '_' && !c.is_ascii_alphanumeric())
            .next();
        let name = match name.expect("a split has a first part") {
            "enable_2pc" => "enable2_pc",
            name => name,
        };
        let value = text[at + 2..]
            .trim_start_matches("Some(")
            .trim_start_matches('[');
        let sent = [
            format!("{name:?}"),
            i8::from_be_bytes(named(name)).to_string(),
            i16::from_be_bytes(named(name)).to_string(),
            i32::from_be_bytes(named(name)).to_string(),
            i64::from_be_bytes(named(name)).to_string(),
            format!("{:?}", TopicId(named(name))),
            format!("{:?}", name.as_bytes())
                .trim_matches(['[', ']'])
                .to_owned(),
            "true".to_owned(),
        ];
        if sent.iter().any(|sent| value.starts_with(sent)) {
            told += 1;
            continue;
        }
        let struct_or_empty = value.starts_with(|c: char| c.is_ascii_uppercase());
        let absent = [
            "\"\"",
            "]",
            "0",
            "-1",
            "-2",
            "false",
            "2147483647",
            "-2147483648",
        ]
        .iter()
        .any(|absent| value.starts_with(absent));
        let defaults = ["60000", "2000", "1,", "1 ", "9223372036854775807"];
        let default = defaults.iter().any(|default| value.starts_with(default));
        assert!(
            struct_or_empty || absent || default,
            "{place}: {name} is {value:.60}"
        );
    }
    assert!(told > 0 || bytes == 1 || bytes == 0, "{place}: {text}");
}

#[test]
fn the_codec_knows_exactly_the_messages_that_were_recorded() {
    let layouts = layouts();
    assert_eq!(layouts.len(), 2 * APIS.len());
    for layout in layouts {
        let api = known::api(layout.api);
        let (flexible_from, versions) = known::versions(api, layout.request);
        assert_eq!(flexible_from, layout.flexible_from, "{}", layout.api);
        assert_eq!(
            api.api().flexible_from,
            layout.flexible_from,
            "{}",
            layout.api
        );
        assert_eq!(versions.end(), layout.versions.end(), "{}", layout.api);
        assert!(
            versions.start() <= layout.versions.start(),
            "{}",
            layout.api
        );
        assert!(
            api.api().versions == layout.versions,
            "{} is served as in Kafka",
            layout.api
        );
    }
}

#[test]
fn the_offered_versions_are_those_of_kafka() {
    let offered: Vec<_> = ApiKey::offered()
        .map(|api| (api.key.number(), api.announced_from, *api.versions.end()))
        .collect();
    let kafka = [
        (0, 0, 13),
        (1, 4, 18),
        (2, 1, 11),
        (3, 0, 13),
        (8, 2, 10),
        (9, 1, 10),
        (10, 0, 6),
        (11, 0, 9),
        (12, 0, 4),
        (13, 0, 5),
        (14, 0, 5),
        (15, 0, 6),
        (16, 0, 5),
        (18, 0, 5),
        (19, 2, 7),
        (20, 1, 6),
        (21, 0, 2),
        (22, 0, 6),
        (23, 2, 4),
        (24, 0, 5),
        (25, 0, 4),
        (26, 0, 5),
        (28, 0, 6),
        (32, 1, 4),
        (37, 0, 3),
        (42, 0, 3),
        (44, 0, 1),
        (47, 0, 0),
        (60, 0, 2),
        (65, 0, 0),
        (66, 0, 2),
        (75, 0, 0),
    ];
    assert_eq!(offered, kafka);
}
