//! `DescribeConfigs` (32): settings of topics and brokers (KIP-133).
//!
//! v1 synonyms and source (KIP-226); v3 type and documentation (KIP-569); v4 flexible.

use crate::wire::schema;

schema! {
    /// Whose settings.
    pub struct DescribeConfigsRequest<'a>(versions 1..=4, flexible 4) {
        resources: Vec<DescribeConfigsResource<'a>>, 1..;
        include_synonyms: bool, 1..;
        include_documentation: bool, 3..;
    }

    /// A topic, a broker or another resource.
    pub struct DescribeConfigsResource<'a> {
        /// 2 a topic, 4 a broker, 8 a broker's loggers, 16 client metrics, 32 a group.
        resource_type: i8, 1..;
        resource_name: &'a str, 1..;
        /// Null asks for all.
        configuration_keys: Option<Vec<&'a str>>, 1..;
    }

    /// The settings.
    pub struct DescribeConfigsResponse<'a>(versions 1..=4, flexible 4) {
        throttle_time_ms: i32, 1..;
        results: Vec<DescribeConfigsResult<'a>>, 1..;
    }

    /// A resource of the request.
    pub struct DescribeConfigsResult<'a> {
        error_code: i16, 1..;
        error_message: Option<&'a str>, 1..;
        resource_type: i8, 1..;
        resource_name: &'a str, 1..;
        configs: Vec<DescribeConfigsEntry<'a>>, 1..;
    }

    /// A setting.
    pub struct DescribeConfigsEntry<'a> {
        name: &'a str, 1..;
        value: Option<&'a str>, 1..;
        read_only: bool, 1..;
        /// 1 set on the topic, 2 and 3 dynamic, 4 static, 5 the default.
        config_source: i8, 1.., default -1;
        is_sensitive: bool, 1..;
        synonyms: Vec<DescribeConfigsSynonym<'a>>, 1..;
        config_type: i8, 3..;
        documentation: Option<&'a str>, 3..;
    }

    /// Another place where the setting has a value.
    pub struct DescribeConfigsSynonym<'a> {
        name: &'a str, 1..;
        value: Option<&'a str>, 1..;
        source: i8, 1..;
    }
}
