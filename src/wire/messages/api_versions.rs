//! `ApiVersions` (18): what the server offers.
//!
//! v1 throttle time; v2 throttling; v3 flexible, software name and features (KIP-511, KIP-584);
//! v4 features that begin at version 0; v5 cluster and node that the client means (KIP-1242).
//! The response's header is version 0 in all of them.

use super::super::api::ApiKey;
use crate::wire::schema;

schema! {
    /// Who asks.
    pub struct ApiVersionsRequest<'a>(versions 0..=5, flexible 3) {
        client_software_name: &'a str, 3..;
        client_software_version: &'a str, 3..;
        cluster_id: Option<&'a str>, 5..;
        node_id: i32, 5.., default -1;
    }

    /// What is offered.
    pub struct ApiVersionsResponse<'a>(versions 0..=5, flexible 3) {
        error_code: i16, 0..;
        api_keys: Vec<ApiVersion>, 0..;
        throttle_time_ms: i32, 1..;
        supported_features: Vec<SupportedFeature<'a>>, 3.., tag 0;
        /// -1 says that nothing is known of finalized features.
        finalized_features_epoch: i64, 3.., default -1, tag 1;
        finalized_features: Vec<FinalizedFeature<'a>>, 3.., tag 2;
        zk_migration_ready: bool, 3.., tag 3;
    }

    /// An API and its versions.
    pub struct ApiVersion {
        api_key: i16, 0..;
        min_version: i16, 0..;
        max_version: i16, 0..;
    }

    /// A feature that the server has.
    pub struct SupportedFeature<'a> {
        name: &'a str, 3..;
        min_version: i16, 3..;
        max_version: i16, 3..;
    }

    /// A feature that the cluster has agreed upon.
    pub struct FinalizedFeature<'a> {
        name: &'a str, 3..;
        max_version_level: i16, 3..;
        min_version_level: i16, 3..;
    }
}

impl ApiVersionsResponse<'_> {
    /// What is offered here, with an error code: 0, or `UNSUPPORTED_VERSION` for the answer in
    /// version 0 to a version that is not served.
    pub fn offered(error_code: i16) -> Self {
        let api_keys = ApiKey::offered()
            .map(|api| ApiVersion {
                api_key: api.key.number(),
                min_version: api.announced_from,
                max_version: *api.versions.end(),
            })
            .collect();
        Self {
            error_code,
            api_keys,
            supported_features: vec![SupportedFeature {
                name: TRANSACTION_VERSION,
                min_version: 0,
                max_version: 2,
            }],
            finalized_features_epoch: 0,
            finalized_features: vec![FinalizedFeature {
                name: TRANSACTION_VERSION,
                max_version_level: 2,
                min_version_level: 2,
            }],
            ..Self::default()
        }
    }
}

/// The feature by which clients learn that transactions of version 2 are to be used (KIP-890).
const TRANSACTION_VERSION: &str = "transaction.version";
