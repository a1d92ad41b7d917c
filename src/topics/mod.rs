//! In-memory topics.
