//! Settings: Kafka's broker properties under Kafka's own names, with its defaults and bounds.
//!
//! What an engine and a server read is [`Config`], a plain struct; [`ConfigBuilder`] fills it from
//! typed setters (an embedder's way) or from names and texts (a server's way), and checks it. The
//! table of what there is stands in `settings` (used here) and `accepted` (Kafka's, without
//! meaning here); a name in neither is an error that suggests the nearest one. Settings that Kafka
//! does not have, limits above all, begin with `takhin.`.
//!
//! ```
//! use takhin_coordinator::config::Config;
//!
//! let config = Config::builder()
//!     .set("group.min.session.timeout.ms", "1000")?
//!     .group_initial_rebalance_delay_ms(0)
//!     .build()?;
//! assert_eq!(config.group_min_session_timeout_ms, 1_000);
//! assert!(Config::builder().set("group.max.sise", "3").is_err());
//! # Ok::<(), takhin_coordinator::config::ConfigError>(())
//! ```

mod accepted;
mod error;
mod key;
mod properties;
mod settings;

pub use error::ConfigError;
pub use key::{Key, Kind, Meaning, keys};
pub use properties::{Properties, PropertiesError};
pub use settings::{Config, ConfigBuilder};
