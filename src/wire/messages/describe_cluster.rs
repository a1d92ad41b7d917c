//! `DescribeCluster` (60): the cluster without its topics (KIP-700).
//!
//! v1 controllers too (KIP-919); v2 fenced brokers (KIP-1073).

use crate::wire::schema;

schema! {
    /// What to tell.
    pub struct DescribeClusterRequest(versions 0..=2, flexible 0) {
        include_cluster_authorized_operations: bool, 0..;
        /// 1 brokers, 2 controllers.
        endpoint_type: i8, 1.., default 1;
        include_fenced_brokers: bool, 2..;
    }

    /// The cluster.
    pub struct DescribeClusterResponse<'a>(versions 0..=2, flexible 0) {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<&'a str>, 0..;
        endpoint_type: i8, 1.., default 1;
        cluster_id: &'a str, 0..;
        controller_id: i32, 0.., default -1;
        brokers: Vec<DescribeClusterBroker<'a>>, 0..;
        cluster_authorized_operations: i32, 0.., default i32::MIN;
    }

    /// A broker.
    pub struct DescribeClusterBroker<'a> {
        broker_id: i32, 0..;
        host: &'a str, 0..;
        port: i32, 0..;
        rack: Option<&'a str>, 0..;
        is_fenced: bool, 2..;
    }
}
