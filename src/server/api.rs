//! Which API a frame is counted under.

use crate::metrics::Api;

/// The API that the frame names in its first two bytes, whatever follows.
pub(super) fn of(frame: &[u8]) -> Api {
    let Some(key) = frame.first_chunk() else {
        return Api::Other;
    };
    match i16::from_be_bytes(*key) {
        0 => Api::Produce,
        1 => Api::Fetch,
        2 => Api::ListOffsets,
        3 => Api::Metadata,
        8 => Api::OffsetCommit,
        9 => Api::OffsetFetch,
        10 => Api::FindCoordinator,
        11 => Api::JoinGroup,
        12 => Api::Heartbeat,
        13 => Api::LeaveGroup,
        14 => Api::SyncGroup,
        15 => Api::DescribeGroups,
        16 => Api::ListGroups,
        17 => Api::SaslHandshake,
        18 => Api::ApiVersions,
        19 => Api::CreateTopics,
        20 => Api::DeleteTopics,
        21 => Api::DeleteRecords,
        22 => Api::InitProducerId,
        23 => Api::OffsetForLeaderEpoch,
        24 => Api::AddPartitionsToTxn,
        25 => Api::AddOffsetsToTxn,
        26 => Api::EndTxn,
        28 => Api::TxnOffsetCommit,
        29 => Api::DescribeAcls,
        32 => Api::DescribeConfigs,
        33 => Api::AlterConfigs,
        35 => Api::DescribeLogDirs,
        36 => Api::SaslAuthenticate,
        37 => Api::CreatePartitions,
        42 => Api::DeleteGroups,
        44 => Api::IncrementalAlterConfigs,
        47 => Api::OffsetDelete,
        60 => Api::DescribeCluster,
        61 => Api::DescribeProducers,
        65 => Api::DescribeTransactions,
        66 => Api::ListTransactions,
        68 => Api::ConsumerGroupHeartbeat,
        69 => Api::ConsumerGroupDescribe,
        71 => Api::GetTelemetrySubscriptions,
        75 => Api::DescribeTopicPartitions,
        _ => Api::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_has_one_key() {
        let mut found: Vec<Api> = (0..=i16::MAX)
            .map(|key| of(&key.to_be_bytes()))
            .filter(|api| *api != Api::Other)
            .collect();
        found.push(Api::Other);
        assert_eq!(found, Api::ALL);
    }

    #[test]
    fn a_frame_without_a_key_is_another() {
        assert_eq!(of(&[]), Api::Other);
        assert_eq!(of(&[0]), Api::Other);
        assert_eq!(of(&[255, 255]), Api::Other);
    }
}
