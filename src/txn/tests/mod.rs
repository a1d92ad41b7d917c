//! The coordinator of transactions, in its parts.
