//! `IncrementalAlterConfigs` (44): change settings one by one (KIP-339).
//!
//! v1 flexible.

use crate::wire::schema;

schema! {
    /// What to change.
    pub struct IncrementalAlterConfigsRequest<'a>(versions 0..=1, flexible 1) {
        resources: Vec<AlterConfigsResource<'a>>, 0..;
        validate_only: bool, 0..;
    }

    /// A topic, a broker or another resource.
    pub struct AlterConfigsResource<'a> {
        /// As in `DescribeConfigs`.
        resource_type: i8, 0..;
        resource_name: &'a str, 0..;
        configs: Vec<AlterableConfig<'a>>, 0..;
    }

    /// A setting.
    pub struct AlterableConfig<'a> {
        name: &'a str, 0..;
        /// 0 set, 1 delete, 2 append to a list, 3 subtract from a list.
        config_operation: i8, 0..;
        value: Option<&'a str>, 0..;
    }

    /// What became of each.
    pub struct IncrementalAlterConfigsResponse<'a>(versions 0..=1, flexible 1) {
        throttle_time_ms: i32, 0..;
        responses: Vec<AlterConfigsResourceResponse<'a>>, 0..;
    }

    /// A resource of the request.
    pub struct AlterConfigsResourceResponse<'a> {
        error_code: i16, 0..;
        error_message: Option<&'a str>, 0..;
        resource_type: i8, 0..;
        resource_name: &'a str, 0..;
    }
}
