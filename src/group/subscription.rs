//! The one look that the coordinator takes into a consumer's metadata: the topics (KIP-211).

use std::collections::BTreeSet;

/// Adds the topics of a `ConsumerProtocolSubscription`; `None` if the bytes are not one.
///
/// Only the part that every version shares is read: version, topics, user data.
pub(super) fn add_topics<'m>(metadata: &'m [u8], topics: &mut BTreeSet<&'m str>) -> Option<()> {
    let mut rest = metadata;
    let _version = take(&mut rest, 2)?;
    let count = i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
    for _ in 0..u32::try_from(count).ok()? {
        let length = i16::from_be_bytes(take(&mut rest, 2)?.try_into().ok()?);
        let name = take(&mut rest, usize::try_from(length).ok()?)?;
        topics.insert(std::str::from_utf8(name).ok()?);
    }
    // User data: null is -1. Kafka reads it too, and calls the whole unreadable without it.
    let length = i32::from_be_bytes(take(&mut rest, 4)?.try_into().ok()?);
    if length >= 0 {
        take(&mut rest, usize::try_from(length).ok()?)?;
    }
    Some(())
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(length)?;
    *rest = tail;
    Some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(metadata: &[u8]) -> Option<BTreeSet<&str>> {
        let mut topics = BTreeSet::new();
        add_topics(metadata, &mut topics).map(|()| topics)
    }

    #[test]
    fn topics_of_a_subscription_are_read() {
        let bytes = b"\0\x03\0\0\0\x02\0\x01b\0\x01a\xff\xff\xff\xff trailing".as_slice();
        assert_eq!(topics(bytes), Some(BTreeSet::from(["a", "b"])));
    }

    #[test]
    fn a_count_beyond_the_bytes_is_not_a_subscription() {
        assert_eq!(topics(b"\0\0\x7f\xff\xff\xff"), None);
        assert_eq!(topics(b"\0\0\xff\xff\xff\xff\0\0\0\0"), None);
        assert_eq!(topics(b""), None);
    }

    #[test]
    fn missing_user_data_makes_it_unreadable() {
        assert_eq!(topics(b"\0\0\0\0\0\0"), None);
    }
}
