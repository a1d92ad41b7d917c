//! What numbers are broken down by: small fixed sets, each an index into an array.

macro_rules! kinds {
    ($(
        $(#[$doc:meta])* $name:ident { $($(#[$item:meta])* $variant:ident $label:literal,)* }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum $name {
            $($(#[$item])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name in the metrics' text.
            pub fn label(self) -> &'static str {
                match self {
                    $(Self::$variant => $label,)*
                }
            }

            pub(super) fn index(self) -> usize {
                self as usize
            }
        }
    )*};
}

kinds! {
    /// The state of a classic group.
    GroupPhase {
        /// No members.
        Empty "empty",
        /// Waiting for members to join.
        PreparingRebalance "preparing_rebalance",
        /// Waiting for the leader's assignment.
        CompletingRebalance "completing_rebalance",
        /// All members have their assignment.
        Stable "stable",
        /// Being removed.
        Dead "dead",
    }

    /// What made a group prepare a rebalance.
    RebalanceCause {
        /// A new member, dynamic or static.
        Join "join",
        /// A known member came with other metadata, or the leader came again.
        Rejoin "rejoin",
        /// A member left by itself or was removed by an administrator.
        Leave "leave",
        /// A member's session ended.
        SessionExpired "session_expired",
        /// A member joined and did not send its sync in time.
        SyncTimeout "sync_timeout",
        /// A static member came back with another protocol (KIP-345).
        StaticReplaced "static_replaced",
        /// The leader's assignment could not be made durable.
        AssignmentLost "assignment_lost",
        /// A loaded group has more members than it may have.
        Oversized "oversized",
    }

    /// Why the coordinator removed a member that did not ask for it.
    ExpulsionCause {
        /// No heartbeat within the session timeout.
        SessionExpired "session_expired",
        /// It did not join again within the rebalance timeout.
        RebalanceTimeout "rebalance_timeout",
        /// It did not send its sync within the rebalance timeout.
        SyncTimeout "sync_timeout",
        /// It did not use the member id that it was given (KIP-394).
        PendingExpired "pending_expired",
        /// Another member took over its instance id (KIP-345).
        InstanceFenced "instance_fenced",
        /// An administrator removed it.
        Removed "removed",
        /// The group has its most members (KIP-389).
        GroupFull "group_full",
    }

    /// Why the engine refused a request for want of room.
    RefusalCause {
        /// The shard's mailbox is full.
        MailboxFull "mailbox_full",
        /// The node has its most groups.
        GroupsMax "groups_max",
        /// The node has its most members.
        MembersMax "members_max",
        /// The node or the group has its most offsets.
        OffsetsMax "offsets_max",
        /// The group has its most members (KIP-389).
        GroupFull "group_full",
        /// The group has its most requests waiting for its removal.
        GroupBusy "group_busy",
        /// The shard is being loaded; heartbeats are told meanwhile that all is well.
        Loading "loading",
        /// The shard failed and takes no more work.
        ShardFailed "shard_failed",
        /// The journal takes too long, and nothing can be decided meanwhile.
        JournalStuck "journal_stuck",
        /// The engine is stopping.
        Stopping "stopping",
    }

    /// Why a connection ended.
    CloseReason {
        /// The peer closed it.
        Peer "peer",
        /// It was silent for `connections.max.idle.ms`.
        Idle "idle",
        /// A frame was negative or longer than `socket.request.max.bytes`.
        FrameSize "frame_size",
        /// A request was no request, or of an API or version that is not offered.
        BadRequest "bad_request",
        /// The node had its most requests waiting for an answer.
        ParkedMax "parked_max",
        /// The network or the peer broke it.
        Broken "broken",
        /// The server stopped.
        Shutdown "shutdown",
    }

    /// An API of Kafka's protocol, as requests are broken down by.
    Api {
        /// Produce (0).
        Produce "Produce",
        /// Fetch (1).
        Fetch "Fetch",
        /// `ListOffsets` (2).
        ListOffsets "ListOffsets",
        /// Metadata (3).
        Metadata "Metadata",
        /// `OffsetCommit` (8).
        OffsetCommit "OffsetCommit",
        /// `OffsetFetch` (9).
        OffsetFetch "OffsetFetch",
        /// `FindCoordinator` (10).
        FindCoordinator "FindCoordinator",
        /// `JoinGroup` (11).
        JoinGroup "JoinGroup",
        /// Heartbeat (12).
        Heartbeat "Heartbeat",
        /// `LeaveGroup` (13).
        LeaveGroup "LeaveGroup",
        /// `SyncGroup` (14).
        SyncGroup "SyncGroup",
        /// `DescribeGroups` (15).
        DescribeGroups "DescribeGroups",
        /// `ListGroups` (16).
        ListGroups "ListGroups",
        /// `SaslHandshake` (17).
        SaslHandshake "SaslHandshake",
        /// `ApiVersions` (18).
        ApiVersions "ApiVersions",
        /// `CreateTopics` (19).
        CreateTopics "CreateTopics",
        /// `DeleteTopics` (20).
        DeleteTopics "DeleteTopics",
        /// `DeleteRecords` (21).
        DeleteRecords "DeleteRecords",
        /// `InitProducerId` (22).
        InitProducerId "InitProducerId",
        /// `OffsetForLeaderEpoch` (23).
        OffsetForLeaderEpoch "OffsetForLeaderEpoch",
        /// `AddPartitionsToTxn` (24).
        AddPartitionsToTxn "AddPartitionsToTxn",
        /// `AddOffsetsToTxn` (25).
        AddOffsetsToTxn "AddOffsetsToTxn",
        /// `EndTxn` (26).
        EndTxn "EndTxn",
        /// `TxnOffsetCommit` (28).
        TxnOffsetCommit "TxnOffsetCommit",
        /// `DescribeAcls` (29).
        DescribeAcls "DescribeAcls",
        /// `DescribeConfigs` (32).
        DescribeConfigs "DescribeConfigs",
        /// `AlterConfigs` (33).
        AlterConfigs "AlterConfigs",
        /// `DescribeLogDirs` (35).
        DescribeLogDirs "DescribeLogDirs",
        /// `SaslAuthenticate` (36).
        SaslAuthenticate "SaslAuthenticate",
        /// `CreatePartitions` (37).
        CreatePartitions "CreatePartitions",
        /// `DeleteGroups` (42).
        DeleteGroups "DeleteGroups",
        /// `IncrementalAlterConfigs` (44).
        IncrementalAlterConfigs "IncrementalAlterConfigs",
        /// `OffsetDelete` (47).
        OffsetDelete "OffsetDelete",
        /// `DescribeCluster` (60).
        DescribeCluster "DescribeCluster",
        /// `DescribeProducers` (61).
        DescribeProducers "DescribeProducers",
        /// `DescribeTransactions` (65).
        DescribeTransactions "DescribeTransactions",
        /// `ListTransactions` (66).
        ListTransactions "ListTransactions",
        /// `ConsumerGroupHeartbeat` (68).
        ConsumerGroupHeartbeat "ConsumerGroupHeartbeat",
        /// `ConsumerGroupDescribe` (69).
        ConsumerGroupDescribe "ConsumerGroupDescribe",
        /// `GetTelemetrySubscriptions` (71).
        GetTelemetrySubscriptions "GetTelemetrySubscriptions",
        /// `DescribeTopicPartitions` (75).
        DescribeTopicPartitions "DescribeTopicPartitions",
        /// Any other.
        Other "Other",
    }
}
