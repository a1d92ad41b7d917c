//! Garbage: only its own connection may notice.

use takhin_coordinator::wire::api::APIS;
use takhin_coordinator::wire::{ApiKey, RequestHeader, Writer};

use crate::node::Node;
use crate::records::{NOBODY, batch, create, produce};
use crate::schema::{Values, layouts};

#[test]
fn an_api_that_is_not_offered_closes_only_its_connection() {
    let node = Node::start(&[]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    for key in [7_i16, 24, 68, 999, -1, i16::MAX] {
        let mut client = node.connect();
        let mut frame = vec![0, 0, 0, 10];
        frame.extend(key.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0, 1, 0xff, 0xff]);
        assert!(client.send_raw(&frame));
        assert!(client.is_closed(), "{key}");
        let good = batch(b"v", NOBODY);
        assert_eq!(produce(&mut witness, &topic, 9, &good).0, 0);
    }
}

#[test]
fn a_length_that_is_none_closes_only_its_connection() {
    let node = Node::start(&["--set", "socket.request.max.bytes=1000"]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    for length in [-1_i32, 1_001, i32::MAX, i32::MIN] {
        let mut client = node.connect();
        assert!(client.send_raw(&length.to_be_bytes()));
        assert!(client.is_closed(), "{length}");
        let good = batch(b"v", NOBODY);
        assert_eq!(produce(&mut witness, &topic, 9, &good).0, 0);
    }
}

/// Numbers that look random and are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.below(max + 1);
        (0..len).map(|_| self.next().to_le_bytes()[3]).collect()
    }
}

/// A request with random contents in the layout of its version, then perhaps broken.
fn frame(random: &mut Random, api: ApiKey, version: i16, body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut writer = Writer::new(&mut content);
    let header = RequestHeader {
        api,
        version,
        correlation_id: 1,
        client_id: Some("fuzz"),
    };
    header.encode(&mut writer);
    writer.finish().unwrap();
    content.extend(body);
    match random.below(4) {
        0 => {}
        1 => content.truncate(random.below(content.len() + 1)),
        _ => {
            for _ in 0..=random.below(4) {
                let at = random.below(content.len());
                content[at] = match random.below(4) {
                    0 => 0xff,
                    1 => 0x7f,
                    2 => 0,
                    _ => random.next().to_le_bytes()[0],
                };
            }
        }
    }
    let mut frame = i32::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(content);
    frame
}

#[test]
fn frames_of_garbage_disturb_nobody_else() {
    const ROUNDS: usize = 20;
    const RESIDENT_KIB_MAX: u64 = 600_000;
    let mut random = Random(0x7a6b_0001);
    let node = Node::start(&[]);
    let mut witness = node.connect();
    let topic = create(&mut witness, "witness", 1);
    let requests: Vec<_> = layouts()
        .into_iter()
        .filter(|layout| layout.request)
        .collect();
    let offered = || APIS.iter().filter(|api| api.offered);
    let mut frames = 0;
    let mut offset = 0;
    for _ in 0..ROUNDS {
        for api in offered() {
            let layout = requests
                .iter()
                .find(|layout| layout.api == api.name)
                .unwrap();
            for version in api.versions.clone() {
                let entropy = random.bytes(400);
                let body = layout.encode(version, &mut Values::Entropy(&entropy));
                let frame = frame(&mut random, api.key, version, &body);
                // What becomes of it does not matter; a join may wait for its group.
                node.connect().send_raw(&frame);
                frames += 1;
            }
            let good = batch(b"undisturbed", NOBODY);
            assert_eq!(produce(&mut witness, &topic, 9, &good), (0, offset));
            offset += 1;
        }
        let garbage = random.bytes(2_000);
        node.connect().send_raw(&garbage);
    }
    assert!(frames > 3_000, "{frames}");
    let resident_kib = node.resident_kib();
    assert!(resident_kib < RESIDENT_KIB_MAX, "{resident_kib} KiB");
    let (code, log) = node.stop();
    assert_eq!(code, Some(0));
    assert!(!log.contains("panicked"), "{log}");
}
